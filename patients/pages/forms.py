"""What is typed on the pages of an invitation."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


class BirthDateForm(forms.Form):
    """A birth date in three parts, as people say it; no calendar to leaf through."""

    day = forms.IntegerField(min_value=1, max_value=31, label=gettext_lazy("Day"))
    month = forms.IntegerField(min_value=1, max_value=12, label=gettext_lazy("Month"))
    year = forms.IntegerField(min_value=1850, max_value=2200, label=gettext_lazy("Year"))

    def clean(self) -> dict[str, Any]:
        """With `birth_date`, a day that the calendar has."""
        given = super().clean() or {}
        try:
            given["birth_date"] = date(given["year"], given["month"], given["day"])
        except (KeyError, ValueError) as error:
            raise ValidationError(_("Type day, month and year as numbers.")) from error
        return given


class AccountForm(forms.Form):
    """A new account: with a password, or with a passkey made on the same page."""

    full_name = forms.CharField(max_length=200, label=gettext_lazy("Your name"))
    username = forms.CharField(
        max_length=150,
        label=gettext_lazy("A user name you choose"),
        help_text=gettext_lazy("With this you sign in. Letters, digits and . + - _"),
    )
    password = forms.CharField(
        max_length=200,
        required=False,
        strip=False,
        label=gettext_lazy("A password you choose"),
        help_text=gettext_lazy(
            "At least 12 characters. A sentence is easier to keep in mind than a word."
        ),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    credential = forms.JSONField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["full_name"].widget.attrs["autocomplete"] = "name"
        self.fields["username"].widget.attrs |= {
            "autocomplete": "username",
            "autocapitalize": "none",
        }

    def clean(self) -> dict[str, Any]:
        """One of the two."""
        given = super().clean() or {}
        if not given.get("password") and not given.get("credential"):
            raise ValidationError({"password": _("Choose a password, or use a passkey.")})
        return given
