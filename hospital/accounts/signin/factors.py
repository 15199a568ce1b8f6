"""The second factor: an app's codes, recovery codes, passkeys. Who must have one, who has."""

import base64
import hashlib
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import transaction

from hospital.accounts.models import User
from hospital.accounts.signin import sessions
from hospital.accounts.signin.lockouts import clinic_of
from hospital.audit.services import Actor, record

# Recovery codes alone are none: they come with one of these.
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# Where a session remembers that the account has one.
HAS_ONE = "has_second_factor"
# A code is good once. So many of the last ones are remembered, more than are valid at a time.
REMEMBERED = 8


def has_one(user: Any) -> bool:
    """Whether `user` has set up an authenticator app or a passkey."""
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).exists())


def has_app(user: Any) -> bool:
    """Whether `user` has set up an authenticator app, whose codes `confirm_identity` takes."""
    own = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP)
    return bool(own.exists())


def has_passkey(user: Any) -> bool:
    """Whether `user` has made a passkey."""
    own = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.WEBAUTHN)
    return bool(own.exists())


def is_missing(user: Any, session: Any) -> bool:
    """Whether `user` must set up a second factor before anything else.

    `session` (a mapping) may remember that they have one; this does not write to it.
    """
    if not settings.STAFF_MFA_REQUIRED or not user.is_staff or session.get(HAS_ONE):
        return False
    return not has_one(user)


def accept_code(user: Any, code: str) -> Authenticator | None:
    """The authenticator app or the recovery codes that `code` is from; it is spent by this.

    allauth remembers spent codes in a process's cache only, and there may be several processes.
    """
    with transaction.atomic():
        own = Authenticator.objects.select_for_update().filter(user_id=user.pk)
        for one in own.exclude(type=Authenticator.Type.WEBAUTHN):
            spent = one.data.get("spent", [])
            digest = hashlib.sha256(code.strip().encode()).hexdigest()[:16]
            if digest in spent or not one.wrap().validate_code(code):
                continue
            if one.type == Authenticator.Type.TOTP:
                one.data["spent"] = [*spent, digest][-REMEMBERED:]
                one.save(update_fields=["data"])
            return one
    return None


@transaction.atomic
def remove_all(*, actor: Actor, user: User) -> None:
    """An administrator takes every second factor off an account whose owner lost them.

    Its sessions end; with STAFF_MFA_REQUIRED the next thing its owner does is set up another.
    """
    removed = sorted(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    Authenticator.objects.filter(user=user).delete()
    record(actor, "second_factor.reset", user, clinic_id=clinic_of(user), removed=removed)
    sessions.end_all(actor=actor, user=user)


def added(request: Any, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Told by allauth. The first one ends the sessions that were opened without."""
    actor = Actor.user(user)
    kind = authenticator.type
    record(actor, "second_factor.added", user, clinic_id=clinic_of(user), kind=kind)
    if kind in FACTORS:
        first = Authenticator.objects.filter(user=user, type__in=FACTORS).count() == 1
        request.session[HAS_ONE] = True
        if first:
            sessions.end_all(actor=actor, user=user, keep=request.session.session_key)


def removed(request: Any, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Told by allauth."""
    kind = authenticator.type
    record(Actor.user(user), "second_factor.removed", user, clinic_id=clinic_of(user), kind=kind)
    request.session.pop(HAS_ONE, None)


def sealed(text: str) -> str:
    """`text` encrypted for the database, under the installation's secret key."""
    return _seal().encrypt(text.encode()).decode()


def unsealed(text: str) -> str:
    """What `sealed` was given, under this secret key or an earlier one (SECRET_KEY_FALLBACKS).

    Raises:
        cryptography.fernet.InvalidToken: it was sealed under another key.
    """
    return _seal().decrypt(text.encode()).decode()


def _seal() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(b"second factors" + str(key).encode()).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
