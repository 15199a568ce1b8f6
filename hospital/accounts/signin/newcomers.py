"""Opening one's own account, for whoever was invited: with a password or a passkey."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from allauth.mfa.webauthn.internal import auth as webauthn
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from hospital.accounts import services
from hospital.accounts.models import User
from hospital.accounts.signin.lockouts import clinic_of
from hospital.audit.services import Actor, record

ITSELF = Actor.system("invitation")


def passkey_options(pk: UUID) -> dict[str, Any]:
    """What a browser needs to make a passkey for an account that is to get the id `pk`.

    The challenge is kept in the session of the request that allauth knows of.
    """
    return {"creation_options": webauthn.begin_registration(User(pk=pk), True)}


@transaction.atomic
def open_account(
    *,
    pk: UUID,
    username: str,
    full_name: str,
    password: str,
    credential: Any,
    then: Callable[[User], Any],
) -> User:
    """Open the account `pk` and do `then` with it, or neither.

    Args:
        password: its first password; '' with a passkey.
        credential: what the browser made from `passkey_options`, else None.

    Raises:
        ValidationError: the name is taken, the password too weak, the passkey not what was asked.
        Refusal: whatever `then` raises.
    """
    if not credential:
        services.check_password_strength(
            password, user=User(username=username, last_name=full_name)
        )
    user = services.open_account(
        actor=ITSELF,
        username=username,
        password=None if credential else password,
        full_name=full_name,
        pk=pk,
        language=translation.get_language() or "",
    )
    if credential:
        _add_passkey(user, credential)
    then(user)
    return user


def _add_passkey(user: User, credential: Any) -> None:
    try:
        webauthn.parse_registration_response(credential)
        made = webauthn.complete_registration(credential)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValidationError(_("The passkey did not arrive whole. Make it again.")) from error
    if not made.is_user_verified():
        raise ValidationError(_("That passkey has no PIN, fingerprint or face. Use a password."))
    webauthn.WebAuthn.add(user, str(_("My passkey")), credential)
    record(
        Actor.user(user), "second_factor.added", user, clinic_id=clinic_of(user), kind="webauthn"
    )
