"""What the pictures of a specimen say together, and how sure that is: counted, never concluded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from diagnostics.models import Analysis, AnalysisState, Certainty, FieldImage, Outcome
from diagnostics.models.image import SET_ASIDE
from ml.classes import CLASSES

# Below these the model's leading class is not a statement, only a hint for the reader.
CLEAR_FROM = 0.90
LEANING_FROM = 0.70

# What a picture can be counted as without having a say.
UNSETTLED = frozenset({"pending", "failed", "held", "set_aside"})


def findings_of(images: Sequence[FieldImage], latest: Mapping[UUID, Analysis]) -> dict[str, Any]:
    """What the latest analysis of each of a specimen's pictures says, put together.

    Args:
        latest: the analyses by the ids of their pictures; those of others do not matter.

    Returns:
        fields: how many pictures there are, by what became of them. A picture that is the same
            to the byte as an earlier one is 'repeated': shown, but no evidence of its own. One
            that is 'held' does not count until it is released, one 'set_aside' by a person never.
        probabilities: mean of the calibrated probabilities over the classified fields, or None.
        leading: code of the most probable class, '' when no field was classified.
        certainty: see `certainty_of`; '' when no field was classified.
        dissent: how many classified fields lead with another class.
        packages: name and digest of every model package involved.
        synthetic: whether any picture was made by a program.
    """
    fields: Counter[str] = Counter()
    classified = []
    seen: set[str] = set()
    for image in images:
        analysis = latest.get(image.pk)
        standing = _standing(image, analysis)
        if standing not in UNSETTLED:
            standing = "repeated" if image.sha256 in seen else standing
            seen.add(image.sha256)
        fields[standing] += 1
        if analysis and standing == Outcome.CLASSIFIED:
            classified.append(analysis)
    probabilities = _mean([a.probabilities or {} for a in classified])
    leading = max(probabilities, key=lambda c: probabilities[c]) if probabilities else ""
    return {
        "fields": {"total": len(images), **fields},
        "probabilities": probabilities,
        "leading": leading,
        "certainty": certainty_of(probabilities),
        "dissent": sum(a.label != leading for a in classified),
        "packages": sorted({f"{a.package_name} {a.package_digest[:12]}" for a in classified}),
        "synthetic": any(image.synthetic for image in images),
    }


def counting(fields: dict[str, int]) -> int:
    """How many of the pictures counted in `fields` of the findings have a say, or will have."""
    return fields.get("total", 0) - fields.get("held", 0) - fields.get("set_aside", 0)


def certainty_of(probabilities: dict[str, float] | None) -> str:
    """The model's sureness in words, by its largest calibrated probability; '' without any."""
    if not probabilities:
        return ""
    top = max(probabilities.values())
    if top >= CLEAR_FROM:
        return Certainty.CLEAR
    return Certainty.LEANING if top >= LEANING_FROM else Certainty.UNCERTAIN


def latest_analyses(specimens: Sequence[UUID]) -> dict[UUID, Analysis]:
    """The newest analysis of each of the specimens' pictures that has a say, by the pictures' ids.

    Args:
        specimens: their ids.
    """
    rows = Analysis.objects.filter(image__specimen__in=specimens, speaks=True)
    rows = rows.order_by("queued_at")
    rows = rows.only(
        "image_id", "state", "outcome", "label", "probabilities", "package_name", "package_digest"
    )
    return {analysis.image_id: analysis for analysis in rows}


def _standing(image: FieldImage, analysis: Analysis | None) -> str:
    """What became of a picture, as counted in the findings."""
    if image.rejection in SET_ASIDE:
        return "set_aside"
    if image.held:
        return "held"
    if analysis is None or analysis.state in {AnalysisState.QUEUED, AnalysisState.RUNNING}:
        return "pending"
    if analysis.state == AnalysisState.FAILED:
        return "failed"
    return analysis.outcome


def _mean(rows: list[dict[str, float]]) -> dict[str, float] | None:
    if not rows:
        return None
    return {c.value: round(sum(row[c] for row in rows) / len(rows), 6) for c in CLASSES}
