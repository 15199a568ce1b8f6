"""The registry: microscopes come, are suspended, retire."""

from django.db import transaction
from django.utils import timezone

from devices.models import Device, DeviceState
from hospital.accounts.models import Clinic
from hospital.accounts.services import ensure_clinic_kept
from hospital.audit.services import Actor, record
from hospital.base.states import advance


@transaction.atomic
def register_device(
    *,
    actor: Actor,
    clinic: Clinic,
    name: str,
    make: str,
    model: str,
    serial: str,
    firmware: str = "",
) -> Device:
    """Add a microscope. It is pending until a key is issued for it.

    Raises:
        django.core.exceptions.ValidationError: a field is missing or the serial is known already.
    """
    device = Device(
        clinic=clinic, name=name, make=make, model=model, serial=serial, firmware=firmware
    )
    return save_device(actor=actor, device=device)


@transaction.atomic
def save_device(*, actor: Actor, device: Device) -> Device:
    """Validate and store a new or changed microscope.

    Raises:
        django.core.exceptions.ValidationError: as for `register_device`.
        hospital.base.problems.Conflict: the clinic was changed.
    """
    created = device._state.adding
    ensure_clinic_kept(device)
    device.full_clean()
    device.save()
    action = "device.registered" if created else "device.changed"
    record(actor, action, device, clinic_id=device.clinic_id)
    return device


@transaction.atomic
def change_state(*, actor: Actor, device: Device, to: str) -> None:
    """Suspend, reactivate or retire a microscope. Retiring revokes its keys for good.

    Raises:
        hospital.base.states.IllegalTransition: the step is not in the table.
    """
    origin = device.state
    advance(device, to)
    if to == DeviceState.RETIRED:
        device.keys.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
    record(actor, "device.state_changed", device, clinic_id=device.clinic_id, origin=origin, to=to)
