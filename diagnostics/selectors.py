"""Which specimens, pictures and reports somebody may see.

The clinics are looked up first: a database that knows which ones they are finds the index that
holds their rows in order; told to look them up itself, it reads the whole archive.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Count, FilteredRelation, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.lookups import IsNull
from django.utils.crypto import constant_time_compare

from diagnostics.models import (
    Analysis,
    CallBack,
    CallBackState,
    ControlRun,
    ControlSlide,
    CriticalFinding,
    CriticalSource,
    Deed,
    DiagnosticReport,
    DicomInstance,
    EscalationStep,
    FieldImage,
    Hold,
    ImageState,
    MixUp,
    OwnCall,
    ReadingRule,
    Receipt,
    ReleaseRule,
    ReleaseWish,
    ReportVersion,
    Rereading,
    SavedView,
    Side,
    Specimen,
)
from diagnostics.services import own_call, release
from diagnostics.services.snapshots import SHORT
from hospital.accounts.models import User
from hospital.accounts.selectors import clinic_ids_where, clinics_where, people_who
from hospital.audit.models import Entry
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


def control_images_visible_to(user: Any) -> QuerySet[FieldImage]:
    """The pictures of control slides of the clinics where `user` may see the slides."""
    clinics = clinic_ids_where(user, "diagnostics.view_controlslide")
    rows = FieldImage.objects.filter(control_slide__clinic__in=clinics)
    return rows.select_related("control_slide", "device")


def control_slides_visible_to(
    user: Any, permission: str = "diagnostics.view_controlslide"
) -> QuerySet[ControlSlide]:
    """The control slides of the clinics where `user` holds `permission`."""
    clinics = clinic_ids_where(user, permission)
    return ControlSlide.objects.filter(clinic__in=clinics).select_related("clinic")


def control_runs_visible_to(user: Any) -> QuerySet[ControlRun]:
    """What control slides proved in the clinics where `user` may see the slides."""
    clinics = clinic_ids_where(user, "diagnostics.view_controlslide")
    rows = ControlRun.objects.filter(slide__clinic__in=clinics)
    return rows.select_related("slide", "device")


def holds_visible_to(user: Any) -> QuerySet[Hold]:
    """What keeps pictures back in the clinics where `user` may see the pictures."""
    clinics = clinic_ids_where(user, "diagnostics.view_fieldimage")
    rows = Hold.objects.filter(image__specimen__clinic__in=clinics)
    return rows.select_related("image__specimen", "image__device", "released_by")


def mix_ups_visible_to(user: Any) -> QuerySet[MixUp]:
    """The mix-ups with a picture of a clinic where `user` may see pictures.

    The other picture may be of a clinic whose pictures they may not see: `own_sides` tells.
    """
    clinics = clinic_ids_where(user, "diagnostics.view_fieldimage")
    ours = Q(first__specimen__clinic__in=clinics) | Q(second__specimen__clinic__in=clinics)
    sides = [
        f"{side}__{path}"
        for side in ("first", "second")
        for path in ("specimen__patient", "specimen__report", "specimen__clinic", "device")
    ]
    return MixUp.objects.filter(ours).select_related(*sides, "settled_by")


def mix_ups_to_settle_in(clinics: Sequence[UUID]) -> QuerySet[MixUp]:
    """The mix-ups that wait for a word of `clinics`, where whoever asks sees pictures."""
    first = Q(first_kept=None, first__specimen__clinic__in=clinics)
    second = Q(second_kept=None, second__specimen__clinic__in=clinics)
    return MixUp.objects.filter(first | second, settled_at=None).order_by("raised_at")


def mix_ups_of(user: Any, report: DiagnosticReport) -> QuerySet[MixUp]:
    """The mix-ups that a report's pictures are in, settled or not, the newest first."""
    specimen = report.specimen_id
    ours = Q(first__specimen=specimen) | Q(second__specimen=specimen)
    return mix_ups_visible_to(user).filter(ours).order_by("-raised_at")


def own_sides(mix_up: MixUp, user: Any, permission: str) -> list[Side]:
    """Those of the mix-up's pictures that are of clinics where `user` holds `permission`."""
    clinics = set(clinic_ids_where(user, permission))
    return [side for side in mix_up.sides() if side.image.clinic_id in clinics]


def analyses_visible_to(user: Any) -> QuerySet[Analysis]:
    """The analyses of the clinics where `user` may look at them."""
    clinics = clinic_ids_where(user, "diagnostics.view_analysis")
    rows = Analysis.objects.filter(image__specimen__clinic__in=clinics)
    return rows.select_related("image__specimen__patient")


def images_with_analyses(report: DiagnosticReport) -> QuerySet[FieldImage]:
    """The report's pictures in order of arrival, with `open_holds` and `latest_analyses` of each.

    Newest first, of the analyses that have a say in the report: see docs/decisions/0008.
    """
    newest_first = Prefetch(
        "analyses",
        Analysis.objects.filter(speaks=True).select_related("heat_map").order_by("-queued_at"),
        to_attr="latest_analyses",
    )
    open_holds = Prefetch(
        "holds", Hold.objects.filter(released_at=None).order_by("held_at"), to_attr="open_holds"
    )
    images = FieldImage.objects.filter(specimen_id=report.specimen_id)
    return images.select_related("device").prefetch_related(newest_first, open_holds)


def spoken_of(image: FieldImage) -> Analysis | None:
    """The newest finished analysis of a picture that has a say in the report and left pictures."""
    shown = image.analyses.filter(speaks=True).exclude(overlay_key="")
    return shown.order_by("-queued_at").first()


def views_for(user: Any, clinics: Sequence[UUID]) -> QuerySet[SavedView]:
    """The saved views of the worklist: `user`'s own, and those lent to one of their `clinics`."""
    return SavedView.objects.filter(Q(owner=user) | Q(clinic__in=clinics)).select_related("owner")


def readers_and_views(
    user: Any, clinics: Sequence[UUID]
) -> tuple[dict[UUID, str], list[SavedView]]:
    """Who reads in `clinics`, by name, and `views_for` them: in one question.

    A view that somebody lent goes with them when they leave.
    """
    seen = Q(worklist_views__owner=user) | Q(worklist_views__clinic__in=clinics)
    readers = people_who("diagnostics.verify_diagnosticreport", clinics).order_by()
    people = User.objects.filter(Q(pk__in=readers.values("pk")) | Q(pk=user.pk))
    rows = people.annotate(view=FilteredRelation("worklist_views", condition=seen))
    columns = "pk", "name", "query", "clinic_id", "opens_first"
    found = rows.order_by("last_name", "username", "view__name").values_list(
        *("pk", "first_name", "last_name", "username"), *(f"view__{column}" for column in columns)
    )
    names: dict[UUID, str] = {}
    views = []
    for pk, first, last, username, *view in found:
        names[pk] = f"{first} {last}".strip() or username
        if view[0]:
            views.append(SavedView(owner_id=pk, **dict(zip(columns, view, strict=True))))
    return names, views


def earlier_reports(report: DiagnosticReport) -> QuerySet[DiagnosticReport]:
    """The patient's other reports, for whoever may see this one; the newest sample first."""
    others = reports_in([report.clinic_id]).filter(patient=report.patient_id)
    return others.exclude(pk=report.pk).order_by("-specimen__collected_at")


def portal_reports(user: Any) -> QuerySet[DiagnosticReport]:
    """The reports `user` may read as a patient or guardian: those that `release` has opened.

    A withdrawn one is among them to be told of; nothing that it said may be shown.
    """
    reports = DiagnosticReport.objects.filter(
        release.open_now(), patient__in=patients_in_portal_of(user)
    )
    return _photographed(reports).select_related("specimen", "patient", "clinic", "signed_by")


def pictures_for_family(report: DiagnosticReport) -> QuerySet[FieldImage]:
    """Those of the report's pictures that its family may see, of a report that they may read.

    Neither what the gate turned away nor what is held: it may be somebody else's.
    """
    return FieldImage.objects.filter(
        specimen_id=report.specimen_id, state=ImageState.ACCEPTED, held=False
    )


def release_rules_visible_to(user: Any) -> QuerySet[ReleaseRule]:
    """When families may read, of the clinics where `user` may see it."""
    clinics = clinic_ids_where(user, "diagnostics.view_releaserule")
    return ReleaseRule.objects.filter(clinic__in=clinics).select_related("clinic")


def release_wishes_visible_to(user: Any) -> QuerySet[ReleaseWish]:
    """What families wish, of the clinics where `user` may see it."""
    clinics = clinic_ids_where(user, "diagnostics.view_releasewish")
    return ReleaseWish.objects.filter(patient__clinic__in=clinics).select_related("patient__clinic")


def reading_rules_visible_to(user: Any) -> QuerySet[ReadingRule]:
    """What clinics ask of their readers, of the clinics where `user` may see it."""
    clinics = clinic_ids_where(user, "diagnostics.view_readingrule")
    return ReadingRule.objects.filter(clinic__in=clinics).select_related("clinic")


def own_calls_visible_to(user: Any) -> QuerySet[OwnCall]:
    """Readers' own calls: everybody's in the clinics where `user` may see them, else their own."""
    clinics = clinic_ids_where(user, "diagnostics.view_owncall")
    own = Q(by=user, report__clinic__in=clinic_ids_where(user, "diagnostics.add_owncall"))
    return OwnCall.objects.filter(Q(report__clinic__in=clinics) | own)


def open_call_backs(user: Any) -> list[CallBack]:
    """What waits to be told in the clinics whose cases `user` may see, the oldest first.

    Each with what of it `user` may be `shown`: nothing of the model's before their own call; and
    with how many `tries` there were to tell it, and how often it was `escalated`.
    """
    clinics = clinics_where(user, "diagnostics.view_diagnosticreport")
    hidden = own_call.hidden_from(user, "report__") & Q(source=CriticalSource.MODEL)
    waiting = Q(call_back__state=CallBackState.OPEN, call_back__clinic__in=clinics)
    findings: QuerySet[Any] = CriticalFinding.objects.exclude(hidden).filter(waiting)
    counted = findings.select_related("call_back__patient", "report__specimen").annotate(
        tries=Count("call_back__contacts", distinct=True),
        escalated=Count("call_back__escalations", distinct=True),
    )
    rows = []
    for _, of in groupby(
        counted.order_by("call_back__raised_at", "call_back_id", "-at"),
        key=lambda finding: finding.call_back_id,
    ):
        shown = list(of)
        row = shown[0].call_back
        row.shown, row.tries, row.escalated = shown, shown[0].tries, shown[0].escalated
        rows.append(row)
    return rows


def escalation_steps_visible_to(user: Any) -> QuerySet[EscalationStep]:
    """Who is told when nobody calls, of the clinics where `user` may see it."""
    clinics = clinic_ids_where(user, "diagnostics.view_escalationstep")
    return EscalationStep.objects.filter(clinic__in=clinics).select_related("clinic", "person")


def newest_version(report: DiagnosticReport) -> ReportVersion | None:
    """What stands signed; None while nobody has signed."""
    return report.versions.first() if report.is_signed else None


def rereadings_of(report: DiagnosticReport) -> QuerySet[Rereading]:
    """Who had read what the newest version replaced, and whether they have read again; for staff.

    `report` has been found to be theirs.
    """
    last = report.signatures.exclude(deed__in=[Deed.READ, Deed.SENT_BACK]).first()
    rows = report.rereadings.filter(version=last.version if last else 0)
    return rows.select_related("user")


def asked_again(user: Any) -> QuerySet[Rereading]:
    """What `user`, as staff, had read of what was changed since, and has not read again."""
    return Rereading.objects.filter(user=user, in_portal=False, read_at=None).order_by()


def changed_since_read(
    user: Any, clinics: Sequence[UUID] | None = None
) -> QuerySet[DiagnosticReport]:
    """The reports that `user` has read as staff and may see, which were changed since.

    Args:
        clinics: those whose reports they may see, for whoever has looked that up.
    """
    reports = reports_visible_to(user) if clinics is None else reports_in(clinics)
    return reports.filter(pk__in=asked_again(user).values("report"))


def was_asked_again(user: Any, report: DiagnosticReport) -> Rereading | None:
    """That `user`, as staff, had read a version which was changed since, and not what stands."""
    return report.rereadings.filter(user=user, in_portal=False, read_at=None).first()


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


def dicom_visible_to(
    user: Any, permission: str = "diagnostics.view_fieldimage"
) -> QuerySet[DicomInstance]:
    """The DICOM objects of the clinics where `user` holds `permission`."""
    clinics = clinic_ids_where(user, permission)
    rows = DicomInstance.objects.filter(image__specimen__clinic__in=clinics)
    return rows.select_related("image__specimen__patient", "image__device")


def _photographed(reports: QuerySet[DiagnosticReport]) -> QuerySet[DiagnosticReport]:
    """With `photographed`: whether any of a report's pictures is of real blood.

    Not by EXISTS: PostgreSQL may answer that for all reports at once, from every picture there is.
    """
    real = FieldImage.objects.filter(specimen=OuterRef("specimen"), synthetic=False).order_by()
    return reports.annotate(photographed=IsNull(Subquery(real.values("pk")[:1]), False))


def wish_chosen(patient_id: UUID) -> Entry | None:
    """When and by whom it was last said how the patient wants to learn of results."""
    changes = Entry.objects.filter(action="release_wish.changed", patient_id=patient_id)
    return changes.order_by("-id").first()
