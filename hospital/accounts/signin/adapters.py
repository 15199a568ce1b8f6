"""Where django-allauth asks the house: passwords counted by us, no sign-up, secrets sealed."""

import time
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hospital.accounts.signin import factors, lockouts
from hospital.base.proxies import sender_of


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Passwords."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": gettext_lazy(
            "User name or password is not right. Both are case-sensitive."
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody opens an account but by an invitation or an administrator."""
        return False

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """The account with that name and password, or None.

        Raises:
            ValidationError: too many wrong tries; this one was not judged.
        """
        username, address = credentials.get("username", ""), sender_of(request)
        try:
            tried = lockouts.begin(username, address=address)
        except lockouts.LockedOut as locked:
            raise ValidationError(locked.detail, code=locked.code) from locked
        user = super().authenticate(request, **credentials)
        if user is None:
            tried.was_wrong("password")
        else:
            tried.was_right()
        return user

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        """A passkey of an account that is closed."""
        messages.error(request, _("This account is closed. Ask your clinic."))
        return redirect("login")

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not in the first minutes after signing in: that was the proof."""
        request = context.request
        records = get_authentication_records(request, request.user)
        newest = max((told["at"] for told in records), default=0.0)
        return bool(time.time() - newest >= app_settings.REAUTHENTICATION_TIMEOUT)

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """None: the audit trail tells."""


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors."""

    def get_totp_label(self, user: Any) -> str:
        """What the app calls the account: the user name, not an e-mail address."""
        return str(user.get_username())

    def encrypt(self, text: str) -> str:
        """For the database."""
        return factors.sealed(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Back from the database."""
        return factors.unsealed(encrypted_text)

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        """What a passkey is called until its owner renames it."""
        return str(_("My passkey"))
