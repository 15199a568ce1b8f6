"""Control slides: registered, shown by microscopes, judged like any picture, and decided."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from devices.models import Device
from diagnostics.models import (
    Analysis,
    AnalysisState,
    Certainty,
    ControlRun,
    ControlSlide,
    ControlState,
    FieldImage,
    Outcome,
    Specimen,
)
from diagnostics.models.analysis import CLASS_NAMES
from diagnostics.services import gate
from diagnostics.services.findings import certainty_of
from diagnostics.services.reports import PIPELINE
from hospital.accounts.selectors import clinic_topic
from hospital.accounts.services import ensure_clinic_kept
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict
from hospital.base.states import advance
from hospital.live.services import publish

# What a range may be set on: the figures of `ml.quality.Metrics`, in words.
FIGURES: dict[str, str] = {
    "brightness": "Brightness",
    "clipped": "Pure white",
    "contrast": "Contrast",
    "focus": "Focus",
    "glass": "Bare glass",
    "neutral": "White balance",
    "green": "Foreign colour",
    "black": "Black",
    "grain": "Grain",
    "solid": "Solidity",
    "drawn": "Flatness",
    "stain": "Stain",
    "frame": "Frame",
}
# Those that tell of a worn lamp, a lens out of focus or another stain; the rest tell of the slide.
PROPOSED = ("brightness", "contrast", "focus", "neutral", "stain")
ENOUGH = 5  # pictures from which a range can be proposed
_SURE = {Certainty.CLEAR, Certainty.LEANING}


@transaction.atomic
def save_slide(*, actor: Actor, slide: ControlSlide) -> ControlSlide:
    """Validate and store a new or changed control slide.

    Raises:
        django.core.exceptions.ValidationError: a field is wrong, a range makes no sense, or the
            label is that of a specimen or of another control slide.
        Conflict: the clinic was changed, or the label after pictures have come.
    """
    created = slide._state.adding
    ensure_clinic_kept(slide)
    _ensure_label_kept(slide)
    slide.full_clean()
    slide.ranges = checked_ranges(slide.ranges)
    if Specimen.objects.filter(accession=slide.label).exists():
        raise ValidationError({"label": "A specimen has this label as its accession number."})
    slide.save()
    record(
        actor,
        "control_slide.registered" if created else "control_slide.changed",
        slide,
        clinic_id=slide.clinic_id,
        expected=slide.expected,
        ranges=slide.ranges,
    )
    return slide


@transaction.atomic
def withdraw(*, actor: Actor, slide: ControlSlide) -> None:
    """Take a faded or broken slide out of use; withdrawing it twice changes nothing."""
    in_use = ControlSlide.objects.filter(pk=slide.pk, withdrawn_at=None)
    if in_use.update(withdrawn_at=timezone.now()):
        slide.refresh_from_db()
        record(actor, "control_slide.withdrawn", slide, clinic_id=slide.clinic_id)


def proposed_ranges(slide: ControlSlide) -> dict[str, list[float]]:
    """Ranges from the slide's own pictures that passed: mean and three standard deviations.

    Never narrower than a twentieth of the mean either way: a few pictures taken in one minute are
    more alike than those of a month. Empty when fewer than `ENOUGH` have passed.
    """
    passed = slide.runs.filter(state=ControlState.PASSED).order_by("-at")
    figures = [run.measured.get("figures", {}) for run in passed[:100]]
    ranges: dict[str, list[float]] = {}
    for name in PROPOSED:
        values = [float(one[name]) for one in figures if name in one]
        if len(values) >= ENOUGH:
            middle = statistics.fmean(values)
            reach = max(3 * statistics.stdev(values), abs(middle) / 20)
            ranges[name] = [round(middle - reach, 4), round(middle + reach, 4)]
    return ranges


def adopt_proposal(*, actor: Actor, slide: ControlSlide) -> ControlSlide:
    """Set the slide's ranges to what is proposed.

    Raises:
        Conflict: too few pictures have passed to propose any.
    """
    ranges = proposed_ranges(slide)
    if not ranges:
        raise Conflict(
            f"Ranges are proposed from {ENOUGH} pictures of this slide that passed. Take more.",
            code="too_few_controls",
        )
    slide.ranges = slide.ranges | ranges
    return save_slide(actor=actor, slide=slide)


def checked_ranges(ranges: Any) -> dict[str, list[float]]:
    """`ranges` as it is stored: for each figure its least and its greatest value.

    Raises:
        django.core.exceptions.ValidationError: it is not of that shape.
    """
    if not isinstance(ranges, dict):
        raise _bad_range('Write the ranges by name, like {"focus": [1.4, 2.1]}.')
    for name, pair in ranges.items():
        if name not in FIGURES:
            raise _bad_range(f"'{name}' is no figure. There are: {', '.join(FIGURES)}.")
        numbers = isinstance(pair, list | tuple) and all(
            isinstance(n, int | float) and not isinstance(n, bool) for n in pair
        )
        if not numbers or len(pair) != 2 or not pair[0] <= pair[1]:
            raise _bad_range(f"'{name}' needs its least and its greatest value, like [0.2, 0.6].")
    return {name: [float(low), float(high)] for name, (low, high) in ranges.items()}


# --- runs ----------------------------------------------------------------------------------------


def begin(images: Iterable[FieldImage]) -> None:
    """Open a run for each control picture that has just arrived, in the intake's transaction."""
    runs = [
        ControlRun(image=i, device_id=i.device_id, slide_id=i.control_slide_id, at=i.received_at)
        for i in images
        if i.control_slide_id
    ]
    if runs:
        ControlRun.objects.bulk_create(runs)


def decide_all(analyses: Sequence[Analysis]) -> list[FieldImage]:
    """Decide the runs of control pictures whose analyses have just ended, succeeded or failed.

    Belongs inside the transaction that stores the analyses. A run that is decided stays so.

    Returns:
        Patients' pictures that are held no longer; their reports are for the caller to rebuild,
        in one order with others, so that two workers never wait for each other's in turn.
    """
    by_image = {analysis.image_id: analysis for analysis in analyses}
    if not by_image:
        return []
    runs = _pending(by_image)
    devices: dict[UUID, Device] = {}
    for run in runs:
        analysis = by_image[run.image_id]
        measured = _measured(analysis)
        reasons = _reasons(run.slide, analysis, measured)
        _decide(run, reasons, measured)
        devices[run.device_id] = run.device
    return [image for pk in sorted(devices) for image in gate.follow(devices[pk])]


def _pending(images: Mapping[UUID, Analysis]) -> list[ControlRun]:
    rows = ControlRun.objects.select_for_update(of=("self",)).select_related("device", "slide")
    return list(rows.filter(image__in=images, state=ControlState.PENDING).order_by("at", "pk"))


def _decide(run: ControlRun, reasons: list[str], measured: dict[str, Any]) -> None:
    state = ControlState.FAILED if reasons else ControlState.PASSED
    advance(run, state, decided_at=timezone.now(), reasons=reasons, measured=measured)
    record(
        PIPELINE,
        f"control.{state}",
        run,
        clinic_id=run.slide.clinic_id,
        device=str(run.device_id),
        slide=run.slide.label,
        reasons=reasons,
    )
    topics = [clinic_topic(run.slide.clinic_id)]
    publish("control.decided", run.device_id, version=1, topics=topics)


def _measured(analysis: Analysis) -> dict[str, Any]:
    """What is kept of an analysis beside the run: a chart reads many of them."""
    return {
        "outcome": analysis.outcome,
        "label": analysis.label,
        "probabilities": analysis.probabilities or {},
        "certainty": certainty_of(analysis.probabilities),
        "figures": analysis.quality.get("metrics", {}),
        "package": f"{analysis.package_name} {analysis.package_digest[:12]}".strip(),
    }


def _reasons(slide: ControlSlide, analysis: Analysis, measured: Mapping[str, Any]) -> list[str]:
    """Why the picture does not prove that the microscope is sound; empty when it does."""
    if analysis.state == AnalysisState.FAILED:
        return ["The picture could not be analysed."]
    expected = CLASS_NAMES[slide.expected]
    reasons = []
    if analysis.outcome != Outcome.CLASSIFIED:
        said = Outcome(analysis.outcome).label
        reasons.append(f"It was not read as a class: {said[0].lower()}{said[1:]}.")
    elif analysis.label != slide.expected:
        reasons.append(f"It was read as {CLASS_NAMES[analysis.label]} instead of {expected}.")
    elif measured["certainty"] not in _SURE:
        reasons.append(f"It was read as {expected}, but without certainty.")
    figures = measured["figures"]
    for name, (low, high) in slide.ranges.items():
        word, value = FIGURES[name], figures.get(name)
        if value is None:
            reasons.append(f"{word} was not measured.")
        elif not low <= value <= high:
            side = "below" if value < low else "above"
            reasons.append(f"{word} is {value:.3g}, {side} the range {low:.3g} to {high:.3g}.")
    return reasons


def _bad_range(text: str) -> ValidationError:
    return ValidationError({"ranges": text})


def _ensure_label_kept(slide: ControlSlide) -> None:
    """Runs speak of the slide by the label they came under."""
    stored = ControlSlide.objects.filter(pk=slide.pk, images__isnull=False)
    if stored.exclude(label=slide.label).exists():
        raise Conflict(
            "Pictures of this control slide have arrived, so its label stays. Register another.",
            code="control_slide_in_use",
        )
