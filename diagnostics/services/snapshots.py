"""What is frozen when a person signs: enough to show, print and prove the report for good."""

import hashlib
import json
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, Q

from diagnostics.models import Analysis, DiagnosticReport, FieldImage, ReportVersion
from diagnostics.models.image import SET_ASIDE

# Raised when a snapshot says more than before. Older ones keep their shape and their digest.
SHAPE = 4
# So much of a digest stands in the address that checks it: enough that nobody comes by chance.
SHORT = 16


def content_of(
    report: DiagnosticReport, *, until: datetime | None = None, reason: str = ""
) -> dict[str, Any]:
    """The report as it stands, of plain JSON values.

    Args:
        until: only what analyses had found by then.
        reason: why it says otherwise than the version before.
    """
    pictures = _pictures(report, until)
    return {
        "shape": SHAPE,
        "accession": report.specimen.accession,
        "version": report.version,
        "status": report.status,
        "conclusion": report.conclusion,
        "comment": report.comment,
        "words": report.words,
        "findings": report.findings,
        "images": {str(image.pk): image.sha256 for image in pictures},
        "left_out": {
            str(image.pk): "held" if image.held else image.rejection
            for image in pictures
            if _left_out(image)
        },
        "signed_by": str(report.signed_by or ""),
        "signed_at": report.signed_at.isoformat() if report.signed_at else "",
        "read_by": str(report.read_by or ""),
        "verified_by": str(report.verified_by or ""),
        "reason": reason,
        "patient": _patient(report),
        "specimen": {
            "collected_at": report.specimen.collected_at.isoformat(),
            "stain": report.specimen.stain,
        },
        "clinic": {"name": report.clinic.name, "telephone": report.clinic.telephone},
        "fields": [
            _field(number, image)
            for number, image in enumerate(pictures, start=1)
            if not _left_out(image)
        ],
    }


def digest_of(content: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of `content` as canonical JSON: sorted names, no blanks, UTF-8."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def is_whole(version: ReportVersion) -> bool:
    """Whether the stored snapshot is still what was signed."""
    return digest_of(version.content) == version.sha256


def _patient(report: DiagnosticReport) -> dict[str, str]:
    patient = report.patient
    return {
        "family_name": patient.family_name,
        "given_names": patient.given_names,
        "birth_date": patient.birth_date.isoformat(),
        "sex": patient.sex,
        "mrn": patient.mrn,
    }


def _pictures(report: DiagnosticReport, until: datetime | None) -> list[FieldImage]:
    """Each picture in order of arrival, with what its latest analysis says."""
    by_then = Q() if until is None else Q(finished_at__lte=until)
    latest = Prefetch(
        "analyses",
        Analysis.objects.filter(by_then, speaks=True).order_by("-queued_at"),
        to_attr="said",
    )
    return list(FieldImage.objects.filter(specimen=report.specimen_id).prefetch_related(latest))


def _left_out(image: FieldImage) -> bool:
    """Whether the report does not rest on it: held, or set aside by a person."""
    return image.held or image.rejection in SET_ASIDE


def _field(number: int, image: FieldImage) -> dict[str, Any]:
    analysis = next(iter(image.said), None)  # type: ignore[attr-defined]
    return {
        "number": number,
        "image": str(image.pk),
        "synthetic": image.synthetic,
        "analysis": str(analysis.pk) if analysis else "",
        "outcome": analysis.outcome if analysis else "",
        "label": analysis.label if analysis else "",
        "probabilities": analysis.probabilities if analysis else None,
        "cell_count": analysis.cell_count if analysis else None,
    }
