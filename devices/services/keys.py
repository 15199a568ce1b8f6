"""A microscope's keys: issued, used, revoked."""

import hashlib
import hmac
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from devices.models import Device, DeviceKey, DeviceState
from hospital.audit.services import Actor, record
from hospital.base.problems import Refusal
from hospital.base.states import advance

KEY_MARK = "llk"
# A key's last use is a hint for people; writing it on every request would cost a commit each.
USE_RESOLUTION = timedelta(minutes=5)


class Unauthenticated(Refusal):
    """No key, or none that opens this door."""

    status = 401
    code = "unauthenticated"


@transaction.atomic
def issue_key(*, actor: Actor, device: Device) -> str:
    """Make a new key for `device` and return it in clear, this once.

    A pending microscope becomes active by it. Older keys stay valid until revoked, so that a
    running microscope can be given its new one first.

    Raises:
        Refusal: the microscope is suspended or retired.
    """
    if device.state not in {DeviceState.PENDING, DeviceState.ACTIVE}:
        raise Refusal(
            f"The microscope is {device.state}; activate it before issuing a key.",
            code=f"device_{device.state}",
        )
    prefix = secrets.token_hex(6)
    key = f"{KEY_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    row = DeviceKey.objects.create(device=device, prefix=prefix, digest=_digest(key))
    if device.state == DeviceState.PENDING:
        advance(device, DeviceState.ACTIVE)
    record(actor, "device_key.issued", row, clinic_id=device.clinic_id, device=str(device.pk))
    return key


@transaction.atomic
def revoke_key(*, actor: Actor, key: DeviceKey) -> None:
    """End a key at once; revoking it twice changes nothing."""
    live = DeviceKey.objects.filter(pk=key.pk, revoked_at__isnull=True)
    if live.update(revoked_at=timezone.now()):
        key.refresh_from_db()
        record(actor, "device_key.revoked", key, clinic_id=key.device.clinic_id)


def authenticate(key: str) -> DeviceKey:
    """The live key row that `key` in clear belongs to, its device loaded.

    Whether the device is active is for the caller to ask with `ensure_active`: a suspended one
    is known (403), not unknown (401).

    Raises:
        Unauthenticated: malformed, unknown or revoked; all look the same from outside.
    """
    mark, _, rest = key.partition("_")
    prefix, _, _ = rest.partition("_")
    rows = DeviceKey.objects.select_related("device").filter(revoked_at__isnull=True).order_by()
    # A prefix is one key's.
    row = next(iter(rows.filter(prefix=prefix)), None) if mark == KEY_MARK else None
    # Compare in any case, so that an unknown prefix takes as long as a wrong secret.
    known = row.digest if row else "0" * 64
    if not hmac.compare_digest(known, _digest(key)) or row is None:
        raise Unauthenticated(
            "The device key is not valid. Ask a device manager for a new one.", code="invalid_key"
        )
    _note_use(row)
    return row


def ensure_active(device: Device) -> None:
    """Let only an active microscope through.

    Raises:
        DeviceNotActive: it is pending, suspended or retired.
    """
    if device.state != DeviceState.ACTIVE:
        raise DeviceNotActive(
            f"This microscope is {device.state}. A device manager can activate it again.",
            code=f"device_{device.state}",
        )


class DeviceNotActive(Refusal):
    """The key is good, the microscope is not allowed to work."""

    status = 403
    code = "device_not_active"


def should_renew(row: DeviceKey) -> bool:
    """Whether the microscope shall ask for a new key in place of `row`'s."""
    return False


def _digest(key: str) -> str:
    # A key carries 256 random bits, so a plain hash cannot be searched; a slow one would only
    # make every upload slow.
    return hashlib.sha256(key.encode()).hexdigest()


def _note_use(row: DeviceKey) -> None:
    now = timezone.now()
    if row.last_used_at is None or row.last_used_at < now - USE_RESOLUTION:
        DeviceKey.objects.filter(pk=row.pk).update(last_used_at=now)
