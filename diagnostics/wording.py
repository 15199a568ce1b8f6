"""What staff read: exact words, no markup. What patients read is in `patient_message`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from diagnostics.models import (
    Analysis,
    Certainty,
    DiagnosticReport,
    HoldReason,
    Outcome,
)
from diagnostics.models.analysis import CLASS_NAMES
from diagnostics.models.image import SET_ASIDE

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from diagnostics.trends import Drift

_IMPRESSIONS = {
    Certainty.CLEAR: pgettext_lazy("the model's impression", "Suggests {name}"),
    Certainty.LEANING: pgettext_lazy("the model's impression", "Leans towards {name}"),
    Certainty.UNCERTAIN: pgettext_lazy("the model's impression", "Uncertain, nearest to {name}"),
}


def impression_in_words(report: DiagnosticReport) -> str:
    """The model's impression of a specimen, hedged as far as it is unsure."""
    if report.impression:
        return hedged(report.impression, report.certainty)
    fields = report.findings.get("fields", {})
    if fields.get("pending"):
        return _("Being analysed")
    if fields.get("unfamiliar"):
        return _("Unlike what the model knows: needs a reader")
    if fields.get("failed"):
        return _("Analysis failed")
    if fields.get("held"):
        return _("Held until a person has looked")
    return _("No usable picture")


def hedged(label: str, certainty: str) -> str:
    """A class, said only as firmly as the model is sure of it."""
    return str(format_lazy(_IMPRESSIONS[Certainty(certainty)], name=CLASS_NAMES[label]))


@dataclass(frozen=True)
class Verdict:
    """What became of one picture, and what to do about it."""

    code: str
    title: str
    advice: str


_VERDICTS: dict[str, tuple[StrOrPromise, StrOrPromise]] = {
    "queued": (gettext_lazy("Waiting for analysis"), gettext_lazy("It starts by itself.")),
    "running": (gettext_lazy("Being analysed"), gettext_lazy("Usually done within seconds.")),
    "failed": (gettext_lazy("Analysis failed"), ""),
    # What it says is hidden: see services.own_call.
    "succeeded": (
        gettext_lazy("Read by the model"),
        gettext_lazy("Make your own call on the case to see what it says."),
    ),
    "unfamiliar": (
        gettext_lazy("Unlike what the model was trained on"),
        gettext_lazy(
            "The model gives no opinion on this field. Read it by eye; stain or lighting may "
            "differ from usual."
        ),
    ),
    "not_a_smear": (
        gettext_lazy("Not recognised as a blood smear"),
        gettext_lazy("Check the slide and the field, then take the picture again."),
    ),
    "unusable": (
        gettext_lazy("Picture not usable"),
        gettext_lazy("Take the picture again."),
    ),
}

# What the quality gate found wrong, by its codes (`ml.quality`), and what to do at the microscope.
_SPOILT: dict[str, tuple[StrOrPromise, StrOrPromise]] = {
    "too_dark": (
        gettext_lazy("Too dark"),
        gettext_lazy("Turn up the light or open the diaphragm, then take the picture again."),
    ),
    "too_bright": (
        gettext_lazy("Over-exposed"),
        gettext_lazy("Turn down the light or shorten the exposure, then take the picture again."),
    ),
    "no_contrast": (
        gettext_lazy("Nothing but haze"),
        gettext_lazy("Check light, condenser and slide, then take the picture again."),
    ),
    "out_of_focus": (
        gettext_lazy("Out of focus"),
        gettext_lazy("Focus on the nuclei, then take the picture again."),
    ),
    "black_frame": (
        gettext_lazy("Black frame around the field"),
        gettext_lazy("Use the camera adapter, or crop to the field, then send the picture again."),
    ),
    "unstained": (
        gettext_lazy("No stained nucleus in view"),
        gettext_lazy("Move to a field with white cells. If every field is like this, check stain."),
    ),
    "not_a_smear": _VERDICTS["not_a_smear"],
    "unusable": _VERDICTS["unusable"],
    # A person's word, not the gate's: see services.holds and services.mix_ups.
    "replaced": (
        gettext_lazy("Set aside"),
        gettext_lazy("A person set it aside; another picture takes its place."),
    ),
    "wrong_specimen": (
        gettext_lazy("Not of this specimen"),
        gettext_lazy("It was sent under a wrong label. Check the label and take the field again."),
    ),
}

# Why a picture does not count, by `HoldReason`, and what a person does about it.
HELD: dict[str, tuple[StrOrPromise, StrOrPromise]] = {
    HoldReason.CONTROL_OVERDUE: (
        gettext_lazy("The microscope’s control slide was overdue"),
        gettext_lazy("Show the control slide: once it passes, the picture counts by itself."),
    ),
    HoldReason.CONTROL_FAILED: (
        gettext_lazy("The microscope’s control slide had failed"),
        gettext_lazy(
            "Release the picture if you trust it, or take it again and set this one aside."
        ),
    ),
    HoldReason.COLLECTED_LATER: (
        gettext_lazy("It came before the specimen is said to be collected"),
        gettext_lazy("Correct the time of collection, or check the label."),
    ),
    HoldReason.SAME_PICTURE: (
        gettext_lazy("The same picture was sent for another patient"),
        gettext_lazy("Settle whose it is; until then it counts for neither."),
    ),
}


def advice_for(rejection: str) -> str:
    """What to do about a rejected picture, by its code; '' for the empty code."""
    return str(_SPOILT.get(rejection, _SPOILT["unusable"])[1]) if rejection else ""


# What the quality gate measures, as people call it; its digits; what to look at when it drifts.
_TRENDS: dict[str, tuple[StrOrPromise, int, StrOrPromise]] = {
    "focus": (
        gettext_lazy("Focus"),
        2,
        gettext_lazy("Look at focus drive, objective and cover slips."),
    ),
    "stain": (
        gettext_lazy("Stain"),
        3,
        gettext_lazy("Look at the stain batch, its pH and the staining time."),
    ),
    "brightness": (
        gettext_lazy("Exposure"),
        0,
        gettext_lazy("Look at lamp, diaphragm and exposure time."),
    ),
}


def measure_in_words(name: str) -> tuple[str, int]:
    """What people call a measure of the quality gate, and how many digits of it they need."""
    title, digits, _advice = _TRENDS[name]
    return str(title), digits


def drift_in_words(name: str, drift: Drift) -> str:
    """How far a measure has moved, and what to look at."""
    _title, digits, advice = _TRENDS[name]
    now, before, spread = (f"{v:.{digits}f}" for v in (drift.now, drift.before, drift.spread))
    moved = _("%(now)s in the last days, %(before)s ± %(spread)s before.")
    return f"{moved % {'now': now, 'before': before, 'spread': spread}} {advice}"


def rejection_in_words(code: str) -> str:
    """Why a picture was rejected, by its code, in the middle of a sentence."""
    title = str(_SPOILT.get(code, _SPOILT["unusable"])[0])
    return title[:1].lower() + title[1:]


def rejections_in_words(reasons: Mapping[str, int]) -> str:
    """How often for what, the most frequent first: 'out of focus 10, too dark 4'."""
    by_number = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{rejection_in_words(code)} {n}" for code, n in by_number)


def verdict_on(analysis: Analysis | None, *, certainty: str, failures: dict[str, str]) -> Verdict:
    """What became of a picture, in a technician's words.

    Args:
        certainty: of the analysis, where it classified the picture.
        failures: sentences by the codes of failed analyses.
    """
    code = analysis.outcome or analysis.state if analysis else "queued"
    if analysis and analysis.image.rejection in SET_ASIDE:
        title, advice = _SPOILT[analysis.image.rejection]
        return Verdict("set_aside", str(title), str(advice))
    if analysis and code == Outcome.CLASSIFIED:
        return Verdict(code, hedged(analysis.label, certainty), "")
    title, advice = _VERDICTS[code]
    if analysis and code == "failed":
        advice = failures.get(analysis.failure, failures["internal"])
    if analysis and code in {Outcome.UNUSABLE, Outcome.NOT_A_SMEAR}:
        title, advice = _SPOILT.get(analysis.image.rejection, (title, advice))
    return Verdict(code, str(title), str(advice))


@dataclass(frozen=True)
class Note:
    """One thing the quality gate measured."""

    name: str
    value: str


_MEASURES: dict[str, StrOrPromise] = {
    "focus": gettext_lazy("Focus"),
    "brightness": gettext_lazy("Brightness"),
    "contrast": gettext_lazy("Contrast"),
}


def quality_notes(quality: dict[str, Any]) -> list[Note]:
    """What the quality gate says of a picture: its verdict, then what it measured."""
    if not quality:
        return []
    passed = quality.get("verdict", "ok") == "ok"
    notes = [Note(_("Picture quality"), _("good enough") if passed else _("not good enough"))]
    metrics = quality.get("metrics", {})
    return notes + [
        Note(str(name), f"{metrics[key]:.3g}") for key, name in _MEASURES.items() if key in metrics
    ]


def familiarity_note(familiarity: float) -> Note:
    """How much a picture is like those that the model was trained on, in words.

    Args:
        familiarity: 0 to 1, as `ml.reading.Reading`; below 0.5 the model gives no opinion.
    """
    words = _("unlike what it was trained on")
    if familiarity >= 0.9:
        words = _("like what it was trained on")
    elif familiarity >= 0.5:
        words = _("somewhat unlike what it was trained on")
    return Note(_("To the model"), words)
