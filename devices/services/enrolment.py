"""A microscope's one-time code: made by a person, exchanged by the microscope for its own key.

    K7QM-4T9X-2HWD

Twelve characters of Crockford's base32 (https://www.crockford.com/base32.html), which has no I, L,
O or U. The first four find the code's row, the other eight are secret: 40 random bits against ten
tries in a quarter of an hour. What is stored cannot be searched without the hospital's SECRET_KEY.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from devices.models import Device, DeviceState, Enrolment
from devices.services import keys
from devices.services.brake import Brake
from hospital.audit.services import Actor, record
from hospital.base.problems import Refusal

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP, GROUPS = 4, 3
# What a tired eye reads for what is written.
_LOOKALIKES = str.maketrans("OIL", "011")
NOBODY = Actor.system("enrolment")

# Wrong codes from one address. The code protects itself; this keeps others' codes from being
# tried to death, and the audit trail from being flooded.
brake = Brake(most=20, seconds=600)


class CodeRefused(Refusal):
    """Unknown, wrong, expired, used or void: from outside they are one and the same."""

    status = 403
    code = "code_refused"


class SerialMismatch(Refusal):
    """The code was made for another microscope."""

    status = 409
    code = "serial_mismatch"


@dataclass(frozen=True)
class NewCode:
    """A code in clear, and until when it can be used."""

    code: str
    expires_at: datetime


@transaction.atomic
def make_code(*, actor: Actor, device: Device) -> NewCode:
    """A code with which `device` can fetch its key; it is shown this once, an older one is void.

    For a microscope that waits for its first key, or one whose computer was replaced.

    Raises:
        Refusal: the microscope is suspended or retired.
    """
    keys.hold(device)
    keys.ensure_may_have_keys(device)
    void_codes(device)
    code = _unused_code()
    row = Enrolment.objects.create(
        device=device,
        lookup=code[:GROUP],
        digest=_digest(code),
        expires_at=timezone.now() + timedelta(minutes=settings.ENROLMENT_MINUTES),
    )
    record(actor, "enrolment.code_made", row, clinic_id=device.clinic_id, device=str(device.pk))
    grouped = "-".join(code[at : at + GROUP] for at in range(0, len(code), GROUP))
    return NewCode(grouped, row.expires_at)


def void_codes(device: Device) -> None:
    """End the microscope's open code if there is one, in the transaction that holds its row."""
    open_ones = Enrolment.objects.filter(device=device, used_at=None, voided_at=None)
    open_ones.update(voided_at=timezone.now())


def exchange(
    *, code: str, serial: str = "", certificate: str = "", address: str = ""
) -> tuple[Device, str]:
    """The microscope that `code` was made for, active from now on, and its only key in clear.

    Keys that it had end at once: they were another computer's. Of two that use a code at the same
    moment one gets the key. Every refusal is noted in the audit trail with its true reason.

    Args:
        code: as somebody typed it; case, blanks, hyphens, O for 0 and I or L for 1 do not matter.
        serial: what the microscope says its serial number is; empty: it does not say.
        certificate: as for `keys.authenticate`.
        address: where the request comes from, for the brake and the audit trail.

    Raises:
        TooManyTries: too many wrong codes from this address.
        CodeRefused: unknown, wrong, expired, used or void.
        SerialMismatch: the code is good, and another microscope's.
        keys.Unauthenticated: the microscope's certificate is missing or another.
        keys.DeviceNotActive: it was suspended since the code was made.
    """
    brake.ensure(address)
    code = _plain(code)
    row = Enrolment.objects.select_related("device").filter(lookup=code[:GROUP]).first()
    outcome = _spend_a_try(row, code, serial, certificate, address)
    if isinstance(outcome, Refusal):
        brake.note(address)
        raise outcome
    return outcome


@transaction.atomic
def _spend_a_try(
    row: Enrolment | None, code: str, serial: str, certificate: str, address: str
) -> tuple[Device, str] | Refusal:
    """The exchange; a refusal is returned rather than raised, so that what it cost is kept."""
    try:
        return _exchange(row, code, serial, certificate)
    except _Refused as refused:
        device = row.device if row else None
        record(
            NOBODY,
            "enrolment.refused",
            row or Enrolment(pk=""),
            clinic_id=device.clinic_id if device else None,
            reason=refused.reason,
            address=address,
        )
        return refused.refusal


class _Refused(Exception):
    """Why in truth, and what is said of it."""

    def __init__(self, reason: str, refusal: Refusal | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refusal = refusal or CodeRefused(
            "This code is not valid. Check it letter by letter, or ask a device manager for a "
            "new one."
        )


def _exchange(
    row: Enrolment | None, code: str, serial: str, certificate: str
) -> tuple[Device, str]:
    """Exchange the code, whose row is not held yet.

    Raises:
        _Refused: with the try counted.
    """
    if row is not None:
        keys.hold(row.device)
        row.refresh_from_db(fields=["tries_left", "used_at", "voided_at"])
    # Compare in any case, so that an unknown code takes as long as a wrong one.
    right = hmac.compare_digest(row.digest if row else "0" * 64, _digest(code))
    if row is None:
        raise _Refused("unknown")
    if row.standing != "open":
        raise _Refused(row.standing)
    if not right:
        _count_wrong(row)
        raise _Refused("wrong")
    device = row.device
    _ensure_is_the_one(device, serial, certificate)
    row.used_at = timezone.now()
    row.save(update_fields=["used_at"])
    actor = Actor.device(device)
    record(actor, "enrolment.code_used", row, clinic_id=device.clinic_id, device=str(device.pk))
    keys.revoke_keys(actor=actor, device=device)
    return device, keys.new_key(actor=actor, device=device)


def _count_wrong(row: Enrolment) -> None:
    row.tries_left -= 1
    if row.tries_left == 0:
        row.voided_at = timezone.now()
    row.save(update_fields=["tries_left", "voided_at"])


def _ensure_is_the_one(device: Device, serial: str, certificate: str) -> None:
    """Let through whoever the code was made for. None of this costs a try: the code was right."""
    if serial and serial.strip().casefold() != device.serial.casefold():
        raise _Refused(
            "serial",
            SerialMismatch(
                "This code was made for a microscope with another serial number. Check that you "
                "have the right sheet, or have the serial number corrected in the registry."
            ),
        )
    if device.state == DeviceState.SUSPENDED:
        refusal = keys.DeviceNotActive(
            "This microscope is suspended. Ask a device manager to activate it.",
            code="device_suspended",
        )
        raise _Refused("suspended", refusal)
    try:
        keys.ensure_certificate(device, certificate)
    except keys.Unauthenticated as error:
        raise _Refused("certificate", error) from error


def uri(*, code: str, server: str, serial: str) -> str:
    """What the QR code says; `leukolens-agent enrol` understands it in place of a code."""
    words = {"server": server, "code": code, "serial": serial}
    return f"leukolens-enrol:?{urlencode(words, quote_via=quote)}"


def _plain(code: str) -> str:
    """The code without what people add and mistake in typing."""
    return "".join(c for c in code.upper() if c.isalnum()).translate(_LOOKALIKES)


def _unused_code() -> str:
    """A code whose first part no other has."""
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(GROUP * GROUPS))
        if not Enrolment.objects.filter(lookup=code[:GROUP]).exists():
            return code


def _digest(code: str) -> str:
    # Keyed: 40 bits alone could be searched by whoever has read the table.
    return salted_hmac("devices.enrolment", code, algorithm="sha256").hexdigest()
