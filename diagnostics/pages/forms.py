"""The one form of the pages: a haematologist's signature."""

from typing import Any

from django import forms

from diagnostics.models import Conclusion
from diagnostics.plain_words import LEVEL_NAMES, LEVELS, PART_NAMES, PARTS
from diagnostics.services.signed_words import LONGEST

# Which part of the form a refusal belongs to, by its code; the rest concerns the whole.
_PLACES = {
    "wrong_password": "password",
    "locked_out": "password",
    "wrong_code": "code",
    "conclusion_missing": "conclusion",
    "words_too_long": "words",
    "figure_in_words": "words",
    "class_name_alone": "words",
}


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
    password = forms.CharField(widget=forms.PasswordInput, strip=False, required=False)
    code = forms.CharField(required=False, max_length=40)
    version = forms.IntegerField(min_value=1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.words_refused = ""
        for level in LEVELS:
            for part in PARTS:
                self.fields[f"{level}_{part}"] = forms.CharField(
                    required=False,
                    max_length=LONGEST,
                    widget=forms.Textarea,
                    label=PART_NAMES[part],
                )

    def clean(self) -> dict[str, Any]:
        """What was typed, with the family's words together under 'words'."""
        cleaned = {**(super().clean() or {})}
        if not cleaned.get("password") and not cleaned.get("code"):
            self.add_error("password", "Type your password: it is your signature.")
        cleaned["words"] = {
            level: {part: cleaned.pop(f"{level}_{part}", "") for part in PARTS} for level in LEVELS
        }
        return cleaned

    @property
    def levels(self) -> list[dict[str, Any]]:
        """The family's words for the page: each level with its fields."""
        return [
            {
                "code": level,
                "name": LEVEL_NAMES[level],
                "parts": [(part, self[f"{level}_{part}"]) for part in PARTS],
            }
            for level in LEVELS
        ]

    def refuse(self, code: str, detail: str) -> None:
        """Show a service's refusal where it belongs."""
        if _PLACES.get(code) == "words":
            self.words_refused = detail
        else:
            self.add_error(_PLACES.get(code), detail)

    def about_present_version(self, version: int) -> None:
        """Let the form, shown again, speak of the report as it stands now."""
        self.data = {**self.data.dict(), "version": str(version)}  # type: ignore[attr-defined]
