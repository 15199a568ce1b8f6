"""A microscope's keys: issued, used, renewed, revoked.

Whoever writes keys or codes of a microscope holds its row first (`hold`): a code that is used, a
key that is renewed and a microscope that is retired at the same moment come one after the other.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from devices.models import Device, DeviceKey, DeviceState
from hospital.audit.services import Actor, record
from hospital.base.problems import Refusal
from hospital.base.rows import rows_by
from hospital.base.states import advance

KEY_MARK = "llk"
# A key's last use is a hint for people; writing it on every request would cost a commit each.
USE_RESOLUTION = timedelta(minutes=5)


class Unauthenticated(Refusal):
    """No key, or none that opens this door."""

    status = 401
    code = "unauthenticated"


def hold(device: Device) -> None:
    """Lock the microscope's row until the transaction ends, and read it as it stands."""
    device.refresh_from_db(from_queryset=Device.objects.select_for_update())


@transaction.atomic
def issue_key(*, actor: Actor, device: Device) -> str:
    """Make a new key for `device` and return it in clear, this once.

    For those who program a microscope by hand; others enrol (`devices.services.enrolment`).
    A pending microscope becomes active by it. Older keys stay valid until revoked, so that a
    running microscope can be given its new one first.

    Raises:
        Refusal: the microscope is suspended or retired.
    """
    hold(device)
    ensure_may_have_keys(device)
    return new_key(actor=actor, device=device)


def ensure_may_have_keys(device: Device) -> None:
    """Let pending and active microscopes through.

    Raises:
        Refusal: it is suspended or retired.
    """
    if device.state == DeviceState.SUSPENDED:
        raise Refusal("The microscope is suspended; activate it first.", code="device_suspended")
    if device.state == DeviceState.RETIRED:
        raise Refusal("The microscope is retired; reinstate it first.", code="device_retired")


def new_key(*, actor: Actor, device: Device, replaces: DeviceKey | None = None) -> str:
    """A key of `device`, whose row the caller holds, in clear; a pending one becomes active."""
    prefix = secrets.token_hex(6)
    key = f"{KEY_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    row = DeviceKey.objects.create(
        device=device, prefix=prefix, digest=_digest(key), replaces=replaces
    )
    if device.state == DeviceState.PENDING:
        advance(device, DeviceState.ACTIVE)
    record(actor, "device_key.issued", row, clinic_id=device.clinic_id, device=str(device.pk))
    return key


@transaction.atomic
def renew_key(*, key: DeviceKey) -> tuple[str, datetime]:
    """A successor for a live key, for the microscope that holds it.

    The old key ends when the new one is first used, at the latest after KEY_OVERLAP_DAYS. Asked
    again before that, the successor that nobody used is revoked for another: a lost answer locks
    nobody out.

    Returns:
        The new key in clear, this once; and when the old one ends at the latest.

    Raises:
        Unauthenticated: the key was ended meanwhile.
        DeviceNotActive: the microscope was suspended or retired meanwhile.
    """
    device = key.device
    hold(device)
    ensure_active(device)
    key.refresh_from_db()
    if not key.live:
        raise _not_valid()
    actor = Actor.device(device)
    for unused in DeviceKey.objects.filter(replaces=key).select_related("device"):
        revoke_key(actor=actor, key=unused)
        DeviceKey.objects.filter(pk=unused.pk).update(replaces=None)
    ends = key.expires_at or _end_soon(DeviceKey.objects.filter(pk=key.pk))
    return new_key(actor=actor, device=device, replaces=key), ends


@transaction.atomic
def rotate_keys(*, actor: Actor, device: Device) -> int:
    """Have a microscope fetch itself a new key; how many live keys it is asked of.

    It learns so with its next heartbeat (`should_renew`). Its keys of today end when the new one
    is first used, at the latest after KEY_OVERLAP_DAYS, whether or not it has asked for others.
    """
    hold(device)
    live = DeviceKey.objects.filter(device=device).live()
    asked = live.count()
    ends = _end_soon(live)
    if asked:
        record(
            actor,
            "device_key.rotation_asked",
            device,
            clinic_id=device.clinic_id,
            keys=asked,
            ends=ends.isoformat(),
        )
    return asked


def should_renew(key: DeviceKey) -> bool:
    """Whether the microscope that uses `key` should fetch itself another.

    A manager has asked for it, or its successor was fetched and never used, or it is older than
    KEY_RENEW_DAYS (0: age does not matter).
    """
    if key.expires_at is not None:
        return True
    days = settings.KEY_RENEW_DAYS
    return bool(days) and key.issued_at < timezone.now() - timedelta(days=days)


@transaction.atomic
def revoke_key(*, actor: Actor, key: DeviceKey) -> None:
    """End a key at once; revoking it twice changes nothing.

    A successor that was fetched with it and never used ends as well: whoever held the key may
    hold that one.
    """
    hold(key.device)
    heir = Q(replaces=key, last_used_at=None)
    rows = DeviceKey.objects.filter(Q(pk=key.pk) | heir, revoked_at=None)
    for row in rows.order_by("issued_at"):
        DeviceKey.objects.filter(pk=row.pk).update(revoked_at=timezone.now())
        record(actor, "device_key.revoked", row, clinic_id=key.device.clinic_id)
    key.refresh_from_db(fields=["revoked_at"])


@transaction.atomic
def revoke_keys(*, actor: Actor, device: Device) -> None:
    """End every key of a microscope at once."""
    for key in DeviceKey.objects.filter(device=device, revoked_at=None).select_related("device"):
        revoke_key(actor=actor, key=key)


def authenticate(key: str, *, certificate: str = "") -> DeviceKey:
    """The live key row that `key` in clear belongs to, its device loaded.

    Whether the device is active is for the caller to ask with `ensure_active`: a suspended one
    is known (403), not unknown (401).

    Args:
        key: as the microscope sent it.
        certificate: SHA-256 fingerprint (hexadecimal) of the client certificate that a trusted
            proxy has verified; empty: there was none.

    Raises:
        Unauthenticated: malformed, unknown, ended or revoked, all looking the same from outside;
            or the microscope's certificate is missing or another.
    """
    mark, _, rest = key.partition("_")
    prefix, _, _ = rest.partition("_")
    row = _row_of(prefix) if mark == KEY_MARK else None
    # Compare in any case, so that an unknown prefix takes as long as a wrong secret.
    known = row.digest if row else "0" * 64
    if not hmac.compare_digest(known, _digest(key)) or row is None or not row.live:
        raise _not_valid()
    ensure_certificate(row.device, certificate)
    _note_use(row)
    return row


def _row_of(prefix: str) -> DeviceKey | None:
    """The key with this prefix, which is one key's, and its device."""
    return next(iter(rows_by(DeviceKey, "prefix", [prefix], beside="device")), None)


def ensure_certificate(device: Device, shown: str) -> None:
    """Let through a microscope that shows the certificate it is known by, or needs none.

    Args:
        shown: as for `authenticate`.

    Raises:
        Unauthenticated: it needs one and shows none, or another.
    """
    if not device.certificate_sha256:
        return
    if not shown:
        raise Unauthenticated(
            "This microscope must show its client certificate, and none came with the request. "
            "Install it on the microscope, or ask a device manager.",
            code="certificate_missing",
        )
    if not hmac.compare_digest(device.certificate_sha256, shown):
        raise Unauthenticated(
            "This is not the client certificate that the microscope is known by. "
            "Ask a device manager to register the new one.",
            code="certificate_mismatch",
        )


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


def _digest(key: str) -> str:
    # A key carries 256 random bits, so a plain hash cannot be searched; a slow one would only
    # make every upload slow.
    return hashlib.sha256(key.encode()).hexdigest()


def _not_valid() -> Unauthenticated:
    return Unauthenticated(
        "The device key is not valid. Ask a device manager for a new one.", code="invalid_key"
    )


def _end_soon(rows: QuerySet[DeviceKey]) -> datetime:
    """Give `rows` an end in KEY_OVERLAP_DAYS, but for those that end before; returns that time."""
    ends = timezone.now() + timedelta(days=settings.KEY_OVERLAP_DAYS)
    rows.filter(expires_at=None).update(expires_at=ends)
    return ends


def _note_use(row: DeviceKey) -> None:
    now = timezone.now()
    if row.last_used_at is None and row.replaces_id:
        _take_over(row)
    elif row.last_used_at is None or row.last_used_at < now - USE_RESOLUTION:
        DeviceKey.objects.filter(pk=row.pk).update(last_used_at=now)


@transaction.atomic
def _take_over(row: DeviceKey) -> None:
    """The first use of a successor ends the key before it.

    Raises:
        Unauthenticated: the microscope asked for yet another meanwhile, and this one is revoked.
    """
    hold(row.device)
    row.refresh_from_db()
    if not row.live:
        raise _not_valid()
    # In this order: an heir that was used outlives the key before it.
    DeviceKey.objects.filter(pk=row.pk).update(last_used_at=timezone.now())
    if row.replaces is not None:
        revoke_key(actor=Actor.device(row.device), key=row.replaces)
