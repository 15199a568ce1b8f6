"""Whether somebody who was let in may still stay: asked by open sockets."""

from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.utils.crypto import constant_time_compare

from hospital.accounts.models import User
from hospital.accounts.signin import factors, sessions


def still_open(user: Any, session: Any) -> bool:
    """Whether a socket's session still stands in the database: what each asks every few seconds.

    Not when the account is closed, its password is another, the session is ended or over, or the
    account lacks a second factor that it must have.
    """
    account = User.objects.filter(pk=user.pk, is_active=True).first()
    if account is None or session.session_key is None:
        return False
    stored = sessions.store_of(session.session_key).load()
    return (
        stored.get(SESSION_KEY) == str(account.pk)
        and constant_time_compare(stored.get(HASH_SESSION_KEY, ""), account.get_session_auth_hash())
        and sessions.is_within_limits(stored)
        and not factors.is_missing(account, stored)
    )
