"""What of a case somebody has been shown, and what readers say of its cells."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from diagnostics.models import CellCall, DiagnosticReport, FieldImage, FieldSeen, ImageState
from hospital.accounts.selectors import clinic_ids_where


def fields_seen(user: Any, report: DiagnosticReport) -> set[UUID]:
    """Which of the report's pictures `user` has been shown on the case page."""
    seen = FieldSeen.objects.filter(user=user, image__specimen=report.specimen_id)
    return set(seen.values_list("image_id", flat=True))


@dataclass(frozen=True, slots=True)
class FieldLeft:
    """A field that somebody has not been shown: its number by arrival, from 1, and its picture."""

    number: int
    image_id: UUID


def fields_left(user: Any, report: DiagnosticReport) -> list[FieldLeft]:
    """The usable fields of the report that `user` has not been shown, in order of arrival."""
    images = FieldImage.objects.filter(specimen_id=report.specimen_id)
    return left_of(images.only("sha256", "held", "state"), fields_seen(user, report))


def left_of(images: Iterable[FieldImage], seen: Collection[UUID]) -> list[FieldLeft]:
    """Which of a case's pictures, in order of arrival, are usable and not among `seen`.

    Usable is what is neither held nor rejected, whether the model could read it or not. The same
    picture sent again, to the byte, was shown with the other.
    """
    images = list(images)
    known = {image.sha256 for image in images if image.pk in seen}
    return [
        FieldLeft(number, image.pk)
        for number, image in enumerate(images, start=1)
        if not image.held and image.state != ImageState.REJECTED and image.sha256 not in known
    ]


def standing_calls(analyses: Sequence[UUID]) -> list[CellCall]:
    """What readers say of the cells of `analyses`, given by id: the latest call on each cell."""
    calls = CellCall.objects.filter(analysis__in=analyses, undone_at=None)
    latest = {(call.analysis_id, call.cell): call for call in calls.select_related("by")}
    return list(latest.values())


def cells_named(report: DiagnosticReport) -> Counter[str]:
    """How many of the report's cells go by each `CellLabel`, by the latest call on each cell.

    Of the analyses that have a say in the report; rows alone, as there may be thousands.
    """
    calls = CellCall.objects.filter(
        analysis__image__specimen=report.specimen_id, analysis__speaks=True, undone_at=None
    )
    rows = calls.values_list("analysis", "cell", "label")
    return Counter({(analysis, cell): label for analysis, cell, label in rows}.values())


def calls_visible_to(user: Any) -> QuerySet[CellCall]:
    """The calls on cells of the clinics where `user` may look at analyses."""
    clinics = clinic_ids_where(user, "diagnostics.view_analysis")
    calls = CellCall.objects.filter(analysis__image__specimen__clinic__in=clinics)
    return calls.select_related("analysis__image__specimen")
