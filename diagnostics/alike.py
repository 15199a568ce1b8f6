"""Signed cells that look like a given one: from the reader's own clinics, of other patients."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from diagnostics.models import Analysis, ReferenceField
from diagnostics.models.report import SIGNED
from diagnostics.services import drawing
from hospital.accounts.selectors import clinic_ids_where

SHOWN = 6
ENOUGH = 40  # signed cells below which the nearest say nothing


@dataclass(frozen=True)
class Alike:
    """A signed cell: the `cell`-th of a reference field whose case was signed as `conclusion`."""

    reference: UUID
    report: UUID
    cell: int
    conclusion: str


def references_visible_to(user: Any) -> Any:
    """The reference fields of the clinics where `user` may look at analyses; signed cases only."""
    clinics = clinic_ids_where(user, "diagnostics.view_analysis")
    rows = ReferenceField.objects.filter(clinic__in=clinics, report__status__in=SIGNED)
    return rows.exclude(measures=b"").select_related("report", "analysis__image")


def alike(user: Any, analysis: Analysis, cell: int) -> list[Alike]:
    """The most alike first, at most one of each case; [] when too few are signed.

    Raises:
        FileNotFoundError: nothing is kept of the analysis's cells.
        IndexError: there is no such cell.
    """
    from ml import likeness  # noqa: PLC0415 - brings OpenCV, which most requests do not need

    fields = list(references_visible_to(user).exclude(report__patient=analysis.image.patient_id))
    if not fields:
        return []
    wide = len(likeness.MEASURES)
    measures = [np.frombuffer(one.measures, "<f2").reshape(-1, wide) for one in fields]
    pool = np.concatenate(measures).astype(np.float32)
    owners = [
        (field, number)
        for field, own in zip(fields, measures, strict=True)
        for number in range(len(own))
    ]
    if len(pool) < ENOUGH:
        return []
    nearest = likeness.nearest(drawing.measures(analysis)[cell], pool, pool.std(axis=0))
    found: dict[UUID, Alike] = {}
    for field, number in (owners[index] for index in nearest):
        conclusion = field.report.get_conclusion_display()
        found.setdefault(field.pk, Alike(field.pk, field.report_id, number, conclusion))
        if len(found) == SHOWN:
            break
    return list(found.values())
