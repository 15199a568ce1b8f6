"""What a document says: a signed snapshot, or an unsigned report as it stands now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from diagnostics.documents.text import honest
from diagnostics.models import Conclusion, DiagnosticReport, ReportStatus, ReportVersion, Specimen
from diagnostics.services.snapshots import content_of
from hospital.accounts.models import Clinic
from patients.models import Patient


@dataclass(frozen=True)
class Field:
    """One picture, and what its analysis said then."""

    number: int
    image_id: str
    analysis_id: str
    outcome: str
    label: str
    probabilities: dict[str, float] | None
    cell_count: int | None
    synthetic: bool


@dataclass(frozen=True)
class Statement:
    """A report for print.

    Attributes:
        report: built from the snapshot, for reading only; never to be saved.
        signed_by, read_by, verified_by: names as they stood then, '' for nobody; `read_by` is
            whose reading the signer confirmed as second reader.
        reason: why it says otherwise than the version before.
        words: what was signed for the family, see `services.signed_words`; {} for nothing.
        version: the frozen version; None for what nobody has signed.
        previous: the version signed before this one.
        newest: the version that took this one's place; None while this is the newest.
    """

    report: DiagnosticReport
    signed_by: str
    read_by: str
    verified_by: str
    reason: str
    fields: Sequence[Field]
    words: dict[str, Any]
    version: ReportVersion | None = None
    previous: ReportVersion | None = None
    newest: ReportVersion | None = None

    @property
    def at(self) -> datetime:
        """When what is said came about."""
        return self.report.signed_at or self.report.updated_at


def of_version(version: ReportVersion) -> Statement:
    """What was signed as `version`.

    A snapshot from before `snapshots.SHAPE` 2 lacks the patient's particulars and the fields; they
    are taken from today's rows, the fields as analysed by the signature. One from before 3 has no
    words of its own for the family, and gets none that were signed later.
    """
    today = content_of(version.report, until=version.signed_at)
    content = {**today, "verified_by": "", "words": {}, **version.content}
    pictures = content["images"]
    content["fields"] = [f for f in content["fields"] if f["image"] in pictures]
    others = version.report.versions.exclude(pk=version.pk).order_by("version")
    return _statement(
        version.report,
        content,
        version=version,
        previous=others.filter(version__lt=version.version).last(),
        newest=others.filter(version__gt=version.version).last(),
    )


def as_it_stands(report: DiagnosticReport) -> Statement:
    """What an unsigned report says now."""
    return _statement(report, content_of(report))


def conclusion_of(version: ReportVersion) -> tuple[str, str]:
    """What a version concluded, in words, and who signed it."""
    return str(Conclusion(version.content["conclusion"]).label), honest(
        version.content["signed_by"]
    )


def _statement(row: DiagnosticReport, content: dict[str, Any], **versions: Any) -> Statement:
    content = honest(content)
    return Statement(
        report=_report(row, content),
        signed_by=content["signed_by"],
        read_by=content.get("read_by", ""),
        verified_by=content["verified_by"],
        reason=content.get("reason", ""),
        words=content["words"],
        fields=[
            Field(
                number=field["number"],
                image_id=field["image"],
                analysis_id=field["analysis"],
                outcome=field["outcome"],
                label=field["label"],
                probabilities=field["probabilities"],
                cell_count=field["cell_count"],
                synthetic=field["synthetic"],
            )
            for field in content["fields"]
        ],
        **versions,
    )


def _report(row: DiagnosticReport, content: dict[str, Any]) -> DiagnosticReport:
    """A report of its own, so that everything that words a report can word a snapshot."""
    who, specimen, clinic = content["patient"], content["specimen"], content["clinic"]
    patient = Patient(
        pk=row.patient_id, **(who | {"birth_date": date.fromisoformat(who["birth_date"])})
    )
    return DiagnosticReport(
        pk=row.pk,
        patient=patient,
        clinic=Clinic(pk=row.clinic_id, **clinic),
        specimen=Specimen(
            pk=row.specimen_id,
            accession=content["accession"],
            collected_at=datetime.fromisoformat(specimen["collected_at"]),
            stain=specimen["stain"],
        ),
        status=ReportStatus(content["status"]),
        version=content["version"],
        conclusion=content["conclusion"],
        comment=content["comment"],
        findings=content["findings"],
        impression=content["findings"].get("leading", ""),
        certainty=content["findings"].get("certainty", ""),
        signed_at=datetime.fromisoformat(content["signed_at"]) if content["signed_at"] else None,
        updated_at=row.updated_at,
    )
