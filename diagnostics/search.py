"""Finding reports and specimens by words of label, record number or name, in any archive.

First the indexes are asked which patients and specimens a word names. As long as these are `FEW`,
everything of theirs is read. A word that names more of them, or that no index can answer (one or
two letters), is looked for row by row: lists do that in their own order, a stretch at a time.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from diagnostics.models import DiagnosticReport, Specimen
from hospital.base.search import Among, indexed, looks_inside, matching
from patients.models import Patient

FEW = 1000
_LABEL, _PERSON = "accession", ("mrn", "family_name", "given_names")
_OF_PATIENT = tuple(f"patient__{column}" for column in _PERSON)


def named(text: str, clinics: Collection[UUID]) -> list[UUID] | None:
    """The ids of the patients and specimens of `clinics` that the most telling word names.

    None when that is no short list: then only reading row by row can tell.
    """
    if not text.split():
        return None
    # One question, not one a word. Numbers tell most, then what is long.
    word = max(text.split(), key=lambda word: (any(map(str.isdigit, word)), len(word)))
    ids = _named_by(word, clinics)
    return ids if ids is not None and len(ids) <= FEW and (ids or looks_inside()) else None


def _named_by(word: str, clinics: Collection[UUID]) -> list[UUID] | None:
    """The first of those whom `word` names, at most one more than `FEW`."""
    places: list[tuple[QuerySet[Any], str]] = [
        (Specimen.objects.all(), _LABEL),
        *((Patient.objects.all(), column) for column in _PERSON),
    ]
    parts = []
    for rows, column in places:
        condition = indexed(word, column)
        if condition is None:
            return None
        parts.append(rows.filter(condition, clinic_id__in=clinics).order_by().values_list("pk"))
    return [pk for (pk,) in parts[0].union(*parts[1:], all=True)[: FEW + 1]]


def reports_with(
    rows: QuerySet[DiagnosticReport], text: str, of: list[UUID] | None = None
) -> QuerySet[DiagnosticReport]:
    """The reports in which every word of `text` stands; `of` is what `named` gave for it."""
    if of is not None:
        rows = rows.filter(Q(Among(F("patient_id"), of)) | Q(Among(F("specimen_id"), of)))
    return matching(rows, text, f"specimen__{_LABEL}", *_OF_PATIENT)


def specimens_with(
    rows: QuerySet[Specimen], text: str, of: list[UUID] | None = None
) -> QuerySet[Specimen]:
    """The specimens in which every word of `text` stands; `of` is what `named` gave for it."""
    if of is not None:
        rows = rows.filter(Q(Among(F("patient_id"), of)) | Q(Among(F("pk"), of)))
    return matching(rows, text, _LABEL, *_OF_PATIENT)
