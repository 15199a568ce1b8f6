"""Being asked again who one is, in the middle of a session, before a deed that counts."""

from typing import Any, TypedDict

from allauth.mfa.webauthn.internal import auth as webauthn
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from hospital.accounts.signin import factors, lockouts
from hospital.base.problems import Forbidden


class Proof(TypedDict, total=False):
    """Who somebody is: one of these. See `confirm_identity`."""

    password: str
    code: str
    credential: Any


def confirm_identity(
    user: Any, *, password: str = "", code: str = "", credential: Any = None
) -> None:
    """Pass whoever gives the password of `user`, a code of their authenticator app, or a passkey.

    Wrong ones count towards the same lockout as signing in. Call it before your transaction, not
    inside: what a refusal rolls back is not counted.

    Args:
        user: the account that is signed in.
        password: its password; or
        code: a code of its app, or a recovery code, good once; or
        credential: what the browser made from `passkey_options`, good once.

    Raises:
        Forbidden: none is right (`wrong_password`, `wrong_code` or `wrong_passkey`, 403).
        hospital.accounts.signin.lockouts.LockedOut: too many wrong tries (`locked_out`, 429).
    """
    tried = lockouts.begin(user.username)
    if (
        (password and user.check_password(password))
        or (code and factors.accept_code(user, code))
        or (credential and _is_passkey_of(user, credential))
    ):
        tried.was_right()
        return
    tried.was_wrong("code" if code else "passkey" if credential else "password")
    if code:
        raise Forbidden(_("The code is not right. Use the newest one."), code="wrong_code")
    if credential:
        raise Forbidden(_("The passkey was not accepted. Try again."), code="wrong_passkey")
    raise Forbidden(_("The password is not right."), code="wrong_password")


def passkey_options(user: Any) -> dict[str, Any]:
    """What a browser needs to ask for a passkey of `user`; the challenge is kept in the session."""
    return {"request_options": webauthn.begin_authentication(user)}


def _is_passkey_of(user: Any, credential: Any) -> bool:
    """Whether one of `user`'s passkeys answers the challenge, unlocked by PIN, finger or face."""
    try:
        answer = webauthn.parse_authentication_response(credential)
        webauthn.complete_authentication(user, credential)
    except (ValidationError, TypeError, ValueError, KeyError, AttributeError):
        return False
    return bool(answer.response.authenticator_data.is_user_verified())
