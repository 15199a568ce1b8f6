"""Which specimens, pictures and reports somebody may see.

The clinics are looked up first: a database that knows which ones they are finds the index that
holds their rows in order; told to look them up itself, it reads the whole archive.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.lookups import IsNull
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from devices.models import Device
from diagnostics.models import (
    Analysis,
    DiagnosticReport,
    FieldImage,
    Receipt,
    ReleaseRule,
    ReleaseWish,
    ReportVersion,
    Specimen,
    Upload,
)
from diagnostics.services import release
from diagnostics.services.snapshots import SHORT
from hospital.accounts.selectors import clinic_ids_where
from patients.selectors import patients_in_portal_of


def specimens_visible_to(
    user: Any, permission: str = "diagnostics.view_specimen"
) -> QuerySet[Specimen]:
    """The specimens of the clinics where `user` holds `permission`."""
    clinics = clinic_ids_where(user, permission)
    return Specimen.objects.filter(clinic__in=clinics).select_related("patient", "clinic")


def reports_visible_to(
    user: Any, permission: str = "diagnostics.view_diagnosticreport"
) -> QuerySet[DiagnosticReport]:
    """The reports of the clinics where `user` holds `permission`."""
    return reports_in(clinic_ids_where(user, permission))


def reports_in(clinics: Sequence[UUID]) -> QuerySet[DiagnosticReport]:
    """The reports of `clinics`, given by id, where whoever asks has been found to see them."""
    reports = _photographed(DiagnosticReport.objects.filter(clinic__in=clinics))
    return reports.select_related("specimen", "patient", "clinic", "signed_by", "verified_by")


def images_visible_to(
    user: Any, permission: str = "diagnostics.view_fieldimage"
) -> QuerySet[FieldImage]:
    """The pictures of the clinics where `user` holds `permission`."""
    clinics = clinic_ids_where(user, permission)
    return FieldImage.objects.filter(specimen__clinic__in=clinics).select_related(
        "specimen__patient", "device"
    )


def analyses_visible_to(user: Any) -> QuerySet[Analysis]:
    """The analyses of the clinics where `user` may look at them."""
    clinics = clinic_ids_where(user, "diagnostics.view_analysis")
    rows = Analysis.objects.filter(image__specimen__clinic__in=clinics)
    return rows.select_related("image__specimen__patient")


def images_with_analyses(report: DiagnosticReport) -> QuerySet[FieldImage]:
    """The report's pictures in order of arrival, `latest_analyses` newest first on each.

    Of the analyses that have a say in the report: see docs/decisions/0008.
    """
    newest_first = Prefetch(
        "analyses",
        Analysis.objects.filter(speaks=True).order_by("-queued_at"),
        to_attr="latest_analyses",
    )
    images = FieldImage.objects.filter(specimen_id=report.specimen_id)
    return images.select_related("device").prefetch_related(newest_first)


def portal_reports(user: Any) -> QuerySet[DiagnosticReport]:
    """The reports `user` may read as a patient or guardian: those that `release` has opened."""
    reports = DiagnosticReport.objects.filter(
        release.open_now(), patient__in=patients_in_portal_of(user)
    )
    return _photographed(reports).select_related("specimen", "patient", "clinic", "signed_by")


def release_rules_visible_to(user: Any) -> QuerySet[ReleaseRule]:
    """When families may read, of the clinics where `user` may see it."""
    clinics = clinic_ids_where(user, "diagnostics.view_releaserule")
    return ReleaseRule.objects.filter(clinic__in=clinics).select_related("clinic")


def release_wishes_visible_to(user: Any) -> QuerySet[ReleaseWish]:
    """What families wish, of the clinics where `user` may see it."""
    clinics = clinic_ids_where(user, "diagnostics.view_releasewish")
    return ReleaseWish.objects.filter(patient__clinic__in=clinics).select_related("patient__clinic")


def newest_version(report: DiagnosticReport) -> ReportVersion | None:
    """What stands signed; None while nobody has signed."""
    return report.versions.first() if report.is_signed else None


def readers_of(report: DiagnosticReport, version: int) -> QuerySet[Receipt]:
    """Who of the family has read that version, in order of their first reading; for staff.

    `report` has been found to be theirs. Whoever amends it asks with the version that was signed
    before: these people are to be told again.
    """
    return report.receipts.filter(version=version).select_related("user")


def receipts_of(report: DiagnosticReport) -> QuerySet[Receipt]:
    """Who of the family has read which version of `report`, the newest first; for staff."""
    return report.receipts.order_by("-read_at").select_related("user")


def earlier_reading(user: Any, report: DiagnosticReport) -> Receipt | None:
    """When `user` last began to read a version that what is signed now has replaced; or None."""
    version = newest_version(report)
    if version is None:
        return None
    earlier = report.receipts.filter(user=user, version__lt=version.version)
    return earlier.order_by("-version").first()


def signed_version(version_id: UUID, start: str) -> ReportVersion | None:
    """The signed version that a paper names by its id and the start of its digest.

    For anybody who holds the paper: whoever asks shows nothing of it but whether it still stands.
    """
    version = ReportVersion.objects.select_related("report").filter(pk=version_id).first()
    if version is None or not constant_time_compare(version.sha256[:SHORT], start):
        return None
    return version


def images_sent_by(device: Device) -> QuerySet[FieldImage]:
    """The pictures `device` has sent itself, for it to ask after."""
    return FieldImage.objects.filter(device=device).select_related("specimen__report")


def uploads_by(device: Device) -> QuerySet[Upload]:
    """The uploads that `device` has begun and may go on with, or has finished lately."""
    return Upload.objects.filter(device=device, expires_at__gt=timezone.now())


def _photographed(reports: QuerySet[DiagnosticReport]) -> QuerySet[DiagnosticReport]:
    """With `photographed`: whether any of a report's pictures is of real blood.

    Not by EXISTS: PostgreSQL may answer that for all reports at once, from every picture there is.
    """
    real = FieldImage.objects.filter(specimen=OuterRef("specimen"), synthetic=False).order_by()
    return reports.annotate(photographed=IsNull(Subquery(real.values("pk")[:1]), False))
