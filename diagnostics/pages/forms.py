"""The forms of the pages: a haematologist's signature, and what may become of it."""

from collections.abc import Callable
from typing import Any

from django import forms

from diagnostics.models import Conclusion, DiagnosticReport, ReportStatus
from diagnostics.plain_words import LEVEL_NAMES, LEVELS, PART_NAMES, PARTS
from diagnostics.services.signed_words import LONGEST
from diagnostics.services.signing import Change
from hospital.base.problems import Refusal

# Which part of the form a refusal belongs to, by its code; the rest concerns the whole.
_PLACES = {
    "wrong_password": "password",
    "locked_out": "password",
    "wrong_code": "code",
    "wrong_passkey": "password",
    "conclusion_missing": "conclusion",
    "reason_missing": "reason",
    "reason_too_long": "reason",
    "words_too_long": "words",
    "figure_in_words": "words",
    "class_name_alone": "words",
}


class ProofForm(forms.Form):
    """The version that was looked at, and once more who one is."""

    version = forms.IntegerField(min_value=1)
    password = forms.CharField(widget=forms.PasswordInput, strip=False, required=False)
    code = forms.CharField(required=False, max_length=40)
    credential = forms.JSONField(required=False)

    def clean(self) -> dict[str, Any]:
        """What was typed, with a word about what is missing."""
        cleaned = {**(super().clean() or {})}
        if not any(cleaned.get(name) for name in ("password", "code", "credential")):
            self.add_error("password", "Type your password: it is your signature.")
        return cleaned

    def refuse(self, code: str, detail: str) -> None:
        """Show a service's refusal where it belongs."""
        place = _PLACES.get(code)
        self.add_error(place if place in self.fields else None, detail)

    def carry_out(self, deed: Callable[..., DiagnosticReport], **given: Any) -> int:
        """Do `deed` with what was typed, if that is whole.

        Args:
            given: what the page adds, or takes in place of what was typed.

        Returns:
            200 when it is done and `self.done` is the report; else the status of the refusal,
            which the form says where it belongs.
        """
        if not self.is_valid():
            return 422
        try:
            self.done = deed(**{**self.cleaned_data, **given})
        except Refusal as refusal:
            self.refuse(refusal.code, refusal.detail)
            return refusal.status
        return 200

    def about_present_version(self, version: int) -> None:
        """Let the form, shown again, speak of the report as it stands now."""
        self.data = {**self.data.dict(), "version": str(version)}  # type: ignore[attr-defined]


class WithdrawForm(ProofForm):
    """A report is taken back."""

    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea,
        error_messages={"required": "Say why, for those who read it later."},
    )


class SignForm(ProofForm):
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
        cleaned = super().clean()
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
        """Also what concerns the family's words."""
        if _PLACES.get(code) == "words":
            self.words_refused = detail
        else:
            super().refuse(code, detail)


class AmendForm(SignForm):
    """Another version of a signed report."""

    becomes = forms.ChoiceField(
        choices=[
            (ReportStatus.AMENDED, "Amend: there is more to say"),
            (ReportStatus.CORRECTED, "Correct: it was wrong"),
        ],
        error_messages={
            "required": "Say whether you amend or correct the report.",
            "invalid_choice": "Say whether you amend or correct the report.",
        },
    )
    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea,
        error_messages={"required": "Say why, for those who read it later."},
    )

    def clean(self) -> dict[str, Any]:
        """What was typed, as `signing.amend` takes it."""
        cleaned = super().clean()
        if not self.errors:
            cleaned["change"] = Change.taken_from(cleaned)
        return cleaned
