"""allauth's forms, with wrong tries counted by us."""

from typing import TYPE_CHECKING, Any

from allauth.account.forms import LoginForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hospital.accounts.signin import factors, lockouts
from hospital.accounts.signin.identity import confirm_identity
from hospital.base.problems import Refusal
from hospital.base.proxies import sender_of

if TYPE_CHECKING:
    _SetPasswordForm = SetPasswordForm[Any]
else:
    _SetPasswordForm = SetPasswordForm


class SignInForm(LoginForm):  # type: ignore[misc]
    """User name and password, in fields called as everywhere else: `username`, `password`."""

    def add_prefix(self, field_name: str) -> str:
        """allauth calls the first one `login`."""
        return "username" if field_name == "login" else field_name


class _Counted:
    """A code is judged by us, which counts it and lets it through once."""

    def clean_code(self: Any) -> str:
        address = sender_of(context.request)
        code: str = self.cleaned_data["code"]
        try:
            tried = lockouts.begin(self.user.username, address=address)
        except lockouts.LockedOut as locked:
            raise ValidationError(locked.detail, code=locked.code) from locked
        self.authenticator = factors.accept_code(self.user, code)
        if self.authenticator is None:
            tried.was_wrong("code")
            raise ValidationError(_("That code is not right. Use the newest one."), "wrong_code")
        tried.was_right()
        return code


class CodeForm(_Counted, AuthenticateForm):  # type: ignore[misc]
    """The second step of signing in."""


class CodeAgainForm(_Counted, ReauthenticateForm):  # type: ignore[misc]
    """Being asked again."""


class NewPasswordForm(_SetPasswordForm):
    """Another password for oneself, for whoever knows the present one."""

    old_password = forms.CharField(
        label=gettext_lazy("Present password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ["old_password", "new_password1", "new_password2"]

    def clean_old_password(self) -> str:
        """Wrong ones are counted as at the door."""
        given: str = self.cleaned_data["old_password"]
        try:
            confirm_identity(self.user, password=given)
        except Refusal as refusal:
            raise ValidationError(refusal.detail, code=refusal.code) from refusal
        return given
