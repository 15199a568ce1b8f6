"""The one form of the pages: a haematologist's signature."""

from django import forms

from diagnostics.models import Conclusion

# Which part of the form a refusal belongs to, by its code; the rest concerns the whole.
_PLACES = {"wrong_password": "password", "conclusion_missing": "conclusion"}


class SignForm(forms.Form):
    """What a signature consists of. Nothing is chosen beforehand."""

    conclusion = forms.ChoiceField(
        choices=Conclusion.choices,
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose a conclusion before signing.",
            "invalid_choice": "Choose one of the conclusions.",
        },
    )
    comment = forms.CharField(required=False, max_length=4000, widget=forms.Textarea)
    password = forms.CharField(
        widget=forms.PasswordInput,
        strip=False,
        error_messages={"required": "Type your password: it is your signature."},
    )
    version = forms.IntegerField(min_value=1)

    def refuse(self, code: str, detail: str) -> None:
        """Show a service's refusal where it belongs."""
        self.add_error(_PLACES.get(code), detail)

    def about_present_version(self, version: int) -> None:
        """Let the form, shown again, speak of the report as it stands now."""
        self.data = {**self.data.dict(), "version": str(version)}  # type: ignore[attr-defined]
