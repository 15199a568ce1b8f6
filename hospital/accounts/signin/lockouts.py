"""Wrong passwords and codes cost time: more with every one, for the account and for the address.

A try is counted before it is judged and taken back when it was right, so many at once gain
nothing. Names that nobody has are counted alike.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import ngettext

from hospital.accounts.models import Lockout, Membership, Tried, User
from hospital.audit.services import Actor, record
from hospital.base.problems import Refusal
from hospital.base.proxies import household
from hospital.base.shaping import numerals

# After so long without a wrong try, earlier ones are forgotten; so long is the longest wait.
# An address is forgiven sooner: a whole hospital may stand behind one.
MEMORY = {Tried.ACCOUNT: timedelta(days=1), Tried.ADDRESS: timedelta(hours=1)}
LONGEST = {Tried.ACCOUNT: timedelta(hours=1), Tried.ADDRESS: timedelta(minutes=15)}
SYSTEM = Actor.system("sign-in")


class LockedOut(Refusal):
    """Too many wrong tries: nothing is judged until the time is over."""

    status = 429
    code = "locked_out"

    def __init__(self, wait: timedelta) -> None:
        seconds = max(1, round(wait.total_seconds()))
        minutes = -(-seconds // 60)
        text = ngettext(
            "Too many wrong tries. Wait %(n)s minute, then try again.",
            "Too many wrong tries. Wait %(n)s minutes, then try again.",
            minutes,
        )
        super().__init__(text % {"n": numerals(minutes)}, retry_after=seconds)


@dataclass(frozen=True, slots=True)
class Try:
    """A try that has been counted as wrong; whoever judges it says which it was."""

    user: User | None
    rows: tuple[int, ...]

    def was_right(self) -> None:
        """Take it back. Earlier wrong ones stay counted until somebody is signed in whole."""
        counted = Lockout.objects.filter(pk__in=self.rows, failures__gt=0)
        counted.update(failures=F("failures") - 1, locked_until=None)

    @transaction.atomic
    def was_wrong(self, what: str) -> None:
        """Leave it counted, with a trace in the trail; `what`: 'password', 'code', 'passkey'."""
        if self.user is not None:
            clinic_id = clinic_of(self.user)
            record(SYSTEM, "sign_in.refused", self.user, clinic_id=clinic_id, what=what)
        for row in Lockout.objects.filter(pk__in=self.rows, locked_until__gt=timezone.now()):
            _record_lock(row)


def begin(username: str, *, address: str = "") -> Try:
    """Count a try at `username` (as typed) from `address` ('' when it does not matter).

    Call it outside of a transaction that a wrong password rolls back: else nothing is counted.

    Raises:
        LockedOut: the account or the address has to wait. The try must not be judged.
    """
    keys = [(Tried.ACCOUNT, _digest(username))]
    if network := household(address):
        keys.append((Tried.ADDRESS, network))
    with transaction.atomic():
        rows = [_row(kind, key) for kind, key in keys]
        now = timezone.now()
        waits = [row.locked_until - now for row in rows if row.locked_until and row.is_locked]
        if waits:
            raise LockedOut(max(waits))
        user = User.objects.filter(username=username).first()
        for row in rows:
            _count(row, user)
    return Try(user, tuple(row.pk for row in rows))


def forgive(user: User) -> None:
    """Somebody is signed in whole, second factor and all: forget their wrong tries."""
    mine = Lockout.objects.filter(kind=Tried.ACCOUNT, key=_digest(user.username))
    mine.update(failures=0, locked_until=None)


@transaction.atomic
def lift(*, actor: Actor, lockout: Lockout) -> None:
    """An administrator lets the account or the address try again at once."""
    if lockout.user:
        record(actor, "account.unlocked", lockout.user, clinic_id=clinic_of(lockout.user))
    else:
        record(actor, "address.unlocked", lockout)
    lockout.delete()


def forget_old() -> int:
    """Delete rows that no longer count. Returns how many."""
    now, gone = timezone.now(), 0
    for kind, memory in MEMORY.items():
        gone += Lockout.objects.filter(kind=kind, last_failed_at__lt=now - memory).delete()[0]
    return gone


def clinic_of(user: User) -> Any:
    """A clinic whose administrators may read in the audit trail what happened to the account."""
    return Membership.objects.filter(user=user).values_list("clinic_id", flat=True).first()


def _digest(username: str) -> str:
    return salted_hmac("lockout", username.strip().casefold(), algorithm="sha256").hexdigest()


def _row(kind: str, key: str) -> Lockout:
    Lockout.objects.get_or_create(kind=kind, key=key)
    return Lockout.objects.select_for_update().get(kind=kind, key=key)


def _count(row: Lockout, user: User | None) -> None:
    now, kind = timezone.now(), Tried(row.kind)
    if now - row.last_failed_at > MEMORY[kind]:
        row.failures = 0
    row.failures += 1
    row.last_failed_at = now
    row.user = user if kind == Tried.ACCOUNT else None
    wait = _wait(kind, row.failures)
    row.locked_until = now + wait if wait else None
    row.save()


def _record_lock(row: Lockout) -> None:
    assert row.locked_until is not None
    minutes = round((row.locked_until - row.last_failed_at).total_seconds() / 60)
    if row.user:
        clinic_id = clinic_of(row.user)
        record(SYSTEM, "account.locked", row.user, clinic_id=clinic_id, minutes=minutes)
    elif row.kind == Tried.ADDRESS:
        record(SYSTEM, "address.locked", row, address=row.key, minutes=minutes)


def _wait(kind: Tried, failures: int) -> timedelta | None:
    """A minute after the last free try, then twice as long each time."""
    free = settings.SIGNIN_TRIES if kind == Tried.ACCOUNT else settings.SIGNIN_TRIES_PER_ADDRESS
    if failures < free:
        return None
    return min(LONGEST[kind], timedelta(minutes=2 ** min(failures - free, 10)))
