"""Being asked again who one is, in the middle of a session, before a deed that counts."""

from typing import Any

from django.utils.translation import gettext as _

from hospital.accounts.signin import factors, lockouts
from hospital.base.problems import Forbidden


def confirm_identity(user: Any, *, password: str = "", code: str = "") -> None:
    """Pass whoever gives the password of `user`, or a code of their authenticator app.

    Wrong ones count towards the same lockout as signing in. Call it before your transaction, not
    inside: what a refusal rolls back is not counted.

    Args:
        user: the account that is signed in.
        password: its password; or
        code: a code of its app, or a recovery code, good once.

    Raises:
        Forbidden: neither is right (`wrong_password` or `wrong_code`, 403).
        hospital.accounts.signin.lockouts.LockedOut: too many wrong tries (`locked_out`, 429).
    """
    tried = lockouts.begin(user.username)
    if password and user.check_password(password):
        tried.was_right()
        return
    if code and factors.accept_code(user, code):
        tried.was_right()
        return
    tried.was_wrong("code" if code else "password")
    if code:
        raise Forbidden(_("The code is not right. Use the newest one."), code="wrong_code")
    raise Forbidden(_("The password is not right."), code="wrong_password")
