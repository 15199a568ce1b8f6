"""The words that a haematologist signs for the family, and how they are read again.

A snapshot keeps for each level the words by language: what was rewritten in the language it was
written in; what was accepted as it is in every language the house can say it in. So nobody reads
words that were not signed, and a family reads its own language where that is possible.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import translation

from diagnostics.models import Conclusion
from diagnostics.models.analysis import CLASS_NAMES
from diagnostics.plain_words import LEVELS, PARTS, PLAIN, Words, template
from hospital.accounts.models import Clinic
from hospital.base.problems import Refusal

LONGEST = 2000
_FIGURE = re.compile(
    r"\d\s*(%|٪|per ?cent\b|por ?ciento\b|শতাংশ|درصد|في المئة|بالمئة)", re.IGNORECASE
)
# Whoever leaves the words alone signs the house's.
Given = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Shown:
    """One level as a reader gets it.

    Attributes:
        language: of the words; another than was asked for where nobody signed them in that.
        translated: whether the words are in the language that was asked for.
    """

    words: Words
    language: str
    translated: bool

    @property
    def rtl(self) -> bool:
        """Whether the language runs from right to left."""
        return bool(translation.get_language_info(self.language)["bidi"])

    @property
    def paragraphs(self) -> list[str]:
        """What it means."""
        return self.words.means.splitlines()

    @property
    def not_paragraphs(self) -> list[str]:
        """What it cannot tell."""
        return self.words.means_not.splitlines()

    @property
    def steps(self) -> list[str]:
        """What happens next."""
        return self.words.next.splitlines()


def frozen(conclusion: str, clinic: Clinic, given: Given | None = None) -> dict[str, Any]:
    """What is signed, of plain JSON values.

    Args:
        conclusion: a `Conclusion`.
        given: by level and part (PARTS) what the signer wrote, in the language that is active;
            what is missing, empty or like the template is the template.

    Raises:
        Refusal: the words give a probability, or a class name without a sentence.
    """
    levels = {
        level: _level(conclusion, clinic, level, (given or {}).get(level)) for level in LEVELS
    }
    return {"conclusion": conclusion, "levels": levels}


def shown(signed: Mapping[str, Any], level: str, language: str) -> Shown | None:
    """One level of what was signed, in `language` if it can be; None for an old snapshot."""
    if not signed:
        return None
    by_language = signed["levels"][level if level in LEVELS else PLAIN]
    base = language.partition("-")[0]
    known = base if base in by_language else next(iter(by_language))
    return Shown(Words(**by_language[known]), known, known == base)


def templates(clinic: Clinic) -> dict[str, dict[str, dict[str, str]]]:
    """The house's words by conclusion, level and part, for the form that signs."""
    return {
        conclusion: {
            level: {part: getattr(_template(conclusion, clinic, level), part) for part in PARTS}
            for level in LEVELS
        }
        for conclusion in Conclusion.values
    }


def _level(
    conclusion: str, clinic: Clinic, level: str, given: Mapping[str, str] | None
) -> dict[str, dict[str, str]]:
    usual = _template(conclusion, clinic, level)
    wanted = {part: _tidy((given or {}).get(part, "")) for part in PARTS}
    changed = {p: text for p, text in wanted.items() if text and text != _tidy(getattr(usual, p))}
    if changed:
        for text in changed.values():
            _ensure_plain(text)
        return {_language(): usual.as_dict() | changed}
    return _in_all_languages(conclusion, clinic, level)


def _in_all_languages(conclusion: str, clinic: Clinic, level: str) -> dict[str, dict[str, str]]:
    """The template in every language that says it otherwise than English does."""
    said: dict[str, dict[str, str]] = {}
    for code, _name in [("en", ""), *settings.LANGUAGES]:
        with translation.override(code):
            words = _template(conclusion, clinic, level).as_dict()
        if words not in said.values():
            said[code] = words
    return said


def _template(conclusion: str, clinic: Clinic, level: str) -> Words:
    return template(conclusion, level, clinic=clinic.name, telephone=clinic.telephone)


def _language() -> str:
    return (translation.get_language() or "en").partition("-")[0]


def _tidy(text: str) -> str:
    """With one line break between paragraphs, and none at the ends."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _ensure_plain(text: str) -> None:
    if len(text) > LONGEST:
        raise Refusal(
            f"Write at most {LONGEST} letters in each part of the family's words.",
            code="words_too_long",
        )
    if _FIGURE.search(text):
        raise Refusal(
            "Leave percentages out of the family's words: say what they mean.",
            code="figure_in_words",
        )
    if text.strip(" .!").casefold() in {name.casefold() for name in CLASS_NAMES.values()}:
        raise Refusal(
            "A class name alone tells a family nothing: write what it means.",
            code="class_name_alone",
        )
