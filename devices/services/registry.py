"""The registry: microscopes come, are suspended, retire, and are brought back by a person."""

from django.db import transaction

from devices.models import Device, DeviceState
from devices.services import keys
from devices.services.enrolment import void_codes
from hospital.accounts.models import Clinic
from hospital.accounts.services import ensure_clinic_kept
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Refusal, ensure_fits
from hospital.base.states import IllegalTransition, advance

LONGEST_REASON = 200


class SerialRetired(Conflict):
    """The instrument was retired; it does not come back as a new one."""

    code = "serial_retired"


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
    """Add a microscope. It is pending until it is enrolled or a key is issued for it.

    Raises:
        SerialRetired: it was here before and was retired.
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
        SerialRetired: as for `register_device`.
        hospital.base.problems.Conflict: the clinic was changed.
    """
    created = device._state.adding
    ensure_clinic_kept(device)
    twin = device.twin()
    here = twin is not None and twin.clinic_id == device.clinic_id
    if twin is not None and here and twin.state == DeviceState.RETIRED:
        raise SerialRetired(device.words_about(twin))
    device.full_clean()
    device.save()
    action = "device.registered" if created else "device.changed"
    record(actor, action, device, clinic_id=device.clinic_id)
    return device


@transaction.atomic
def change_state(*, actor: Actor, device: Device, to: str) -> None:
    """Suspend, reactivate or retire a microscope. Retiring ends its keys and its code for good.

    Raises:
        hospital.base.states.IllegalTransition: the step is not in the table; or would bring back
            a retired microscope (see `reinstate`), or activate one that waits for its first key
            (see `keys`).
    """
    origin = device.state
    if why := never_chosen(device, to):
        raise IllegalTransition(why)
    advance(device, to)
    if to == DeviceState.RETIRED:
        keys.revoke_keys(actor=actor, device=device)
        void_codes(device)
    record(actor, "device.state_changed", device, clinic_id=device.clinic_id, origin=origin, to=to)


def never_chosen(device: Device, to: str) -> str:
    """Why `device` does not go to this state by being told to, and how it does; '' if it may."""
    if device.state == DeviceState.RETIRED:
        return "A retired microscope comes back only by being reinstated, with a reason."
    if device.state == DeviceState.PENDING and to == DeviceState.ACTIVE:
        return "A pending microscope becomes active by its first key. Make a code or a key for it."
    return ""


@transaction.atomic
def reinstate(*, actor: Actor, device: Device, reason: str) -> None:
    """Take a retired microscope back into the registry. It waits for a new code.

    Args:
        reason: why, in a person's words; kept in the audit trail.

    Raises:
        Refusal: no reason is given, or too long a one (`reason_too_long`).
        hospital.base.states.IllegalTransition: it is not retired.
    """
    if not reason.strip():
        raise Refusal("Say why the microscope comes back.", code="reason_missing")
    reason = ensure_fits(reason, LONGEST_REASON, what="reason")
    if device.state != DeviceState.RETIRED:
        raise IllegalTransition("Only a retired microscope can be reinstated.")
    advance(device, DeviceState.PENDING)
    record(actor, "device.reinstated", device, clinic_id=device.clinic_id, reason=reason)
