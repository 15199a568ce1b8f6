"""Specimens in the admin; pictures, analyses and reports to look at."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html

from diagnostics import (
    control_admin,  # noqa: F401 - registers its models
    reading_admin,  # noqa: F401 - registers its models
    release_admin,  # noqa: F401 - registers its models
    search,
    selectors,
)
from diagnostics.models import (
    Analysis,
    AnalysisState,
    DiagnosticReport,
    FieldImage,
    Outcome,
    Specimen,
)
from diagnostics.services import analyses, own_call
from diagnostics.services.analyses import FAILURES
from diagnostics.services.specimens import close_specimen, reopen_specimen, save_specimen
from diagnostics.wording import advice_for, impression_in_words
from hospital.accounts.scoped_admin import OwnFilter, ReadOnlyAdmin, ScopedAdmin
from hospital.accounts.selectors import clinic_ids_where
from hospital.audit.services import Actor
from hospital.base.problems import Refusal
from patients.selectors import patients_visible_to


def _case_link(report: DiagnosticReport | None, text: str) -> str:
    if report is None:
        return "-"
    return format_html('<a href="{}">{}</a>', reverse("case", args=[report.pk]), text)


@admin.register(Specimen)
class SpecimenAdmin(ScopedAdmin):
    """Blood samples by accession number."""

    visible = selectors.specimens_visible_to
    read_as = "specimen.read"
    listed_as = "specimen.listed"
    fixed = ("patient", "clinic")
    list_display = ["accession", "patient", "clinic", "stain", "collected_at", "case"]
    list_filter = [("clinic", OwnFilter), "stain", "registered_at"]
    search_fields = ["accession", "patient__mrn", "patient__family_name"]
    search_help_text = "Accession, record number or name"
    autocomplete_fields = ["patient"]
    ordering = ["-registered_at"]
    readonly_fields = ["case", "registered_at", "closed_at", "id"]
    change_form_template = "admin/diagnostics/specimen/change_form.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        """With their reports."""
        return super().get_queryset(request).select_related("report")

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """By the same indexes as the worklist's search."""
        clinics = clinic_ids_where(request.user, self.permission("view"))
        of = search.named(search_term, clinics)
        return search.specimens_with(queryset, search_term, of), False

    def get_fieldsets(self, request: HttpRequest, obj: Specimen | None = None) -> Any:
        """The clinic follows from the patient, so it is shown once there is one."""
        whose = ["patient", "clinic"] if obj else ["patient"]
        own = ["case", "registered_at", "closed_at", "id"]
        record = [("Record", {"fields": own})] if obj else []
        return [
            (None, {"fields": ["accession", *whose]}),
            ("Sample", {"fields": ["collected_at", "stain"]}),
            *record,
        ]

    def clinic_of(self, row: Specimen) -> Any:
        """The patient's, also before the row is stored."""
        return row.patient.clinic_id

    def choices_for(self, db_field: Any, request: HttpRequest) -> Any:
        """Patients of the clinics where the user may register specimens."""
        return patients_visible_to(request.user, "diagnostics.add_specimen")

    @admin.display(description="Report")
    def case(self, specimen: Specimen) -> str:
        """A link to the case, once there is one."""
        report = getattr(specimen, "report", None)
        return _case_link(report, report.get_status_display() if report else "")

    def store(self, actor: Actor, row: Specimen, *, form: Any) -> None:
        """Through the specimens' service."""
        save_specimen(actor=actor, specimen=row)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Django's form, with a button to close or reopen above it."""
        specimen = kwargs.get("obj")
        if specimen and self.has_change_permission(request, specimen):
            context["switch"] = "Open again" if specimen.closed_at else "Close"
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[Any]:
        """Django's, and the one that closes or reopens."""
        switch = self.admin_site.admin_view(self.switch)
        return [
            path("<uuid:pk>/switch/", switch, name="diagnostics_specimen_switch"),
            *super().get_urls(),
        ]

    def switch(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Close an open specimen, or open a closed one, after asking."""
        specimen = self.row_for(request, pk, "diagnostics.change_specimen")
        closed = specimen.closed_at is not None
        deed = reopen_specimen if closed else close_specimen
        return self.after_asking(
            request,
            specimen,
            lambda actor: deed(actor=actor, specimen=specimen),
            f"{specimen} is {'open again' if closed else 'closed'}.",
            title="Open a specimen again" if closed else "Close a specimen",
            question=f"{'Open' if closed else 'Close'} {specimen}?",
            consequence="Pictures with its accession number are taken in again."
            if closed
            else "Pictures with its accession number are refused from now on.",
            button="Open again" if closed else "Close",
        )


@admin.register(FieldImage)
class FieldImageAdmin(ReadOnlyAdmin):
    """Pictures as the microscopes sent them."""

    visible = selectors.images_visible_to
    read_as = "image.read"
    listed_as = "image.listed"
    patient_path = "specimen__patient_id"
    clinic_path = "specimen__clinic_id"
    list_display = ["thumbnail", "specimen", "device", "state", "held", "rejection", "received_at"]
    list_display_links = ["thumbnail", "specimen"]
    list_filter = [
        "state",
        "held",
        ("specimen__clinic", OwnFilter),
        ("device", OwnFilter),
        "synthetic",
        "received_at",
    ]
    search_fields = ["=id", "specimen__accession", "sha256"]
    search_help_text = "Accession, picture id or SHA-256"
    ordering = ["-received_at"]
    fieldsets = [
        (
            None,
            {"fields": ["thumbnail", "specimen", "device", "state", "held", "rejection", "advice"]},
        ),
        ("File", {"fields": ["media_type", "size", "width", "height", "synthetic", "sha256"]}),
        ("Record", {"fields": ["captured_at", "received_at", "id"]}),
    ]
    readonly_fields = ["thumbnail", "advice"]

    @admin.display(description="Picture")
    def thumbnail(self, image: FieldImage) -> str:
        """Small, through the permission-checked address."""
        address = reverse("picture", args=[image.pk, "thumbnail"])
        return format_html(
            '<img class="thumbnail" src="{}" alt="Field of {}" loading="lazy">',
            address,
            image.specimen,
        )

    @admin.display(description="What to do")
    def advice(self, image: FieldImage) -> str:
        """For a rejected picture."""
        return advice_for(image.rejection) if image.rejection else "-"


class FailureFilter(admin.SimpleListFilter):
    """Why a run failed; the reasons are known, nobody has to look for them among all runs."""

    title = "failure"
    parameter_name = "failure"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The codes, each with its sentence's beginning."""
        return [(code, sentence.partition(".")[0]) for code, sentence in FAILURES.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Those that failed so."""
        return queryset.filter(failure=self.value()) if self.value() else queryset


@admin.register(Analysis)
class AnalysisAdmin(ReadOnlyAdmin):
    """Runs of the model; failed ones can be tried again."""

    visible = selectors.analyses_visible_to
    read_as = "analysis.read"
    listed_as = "analysis.listed"
    patient_path = "image__specimen__patient_id"
    clinic_path = "image__specimen__clinic_id"
    list_display = ["short", "specimen", "state", "result", "queued_at"]
    list_filter = [
        "state",
        "outcome",
        FailureFilter,
        ("image__specimen__clinic", OwnFilter),
        "queued_at",
    ]
    search_fields = ["=id", "image__specimen__accession"]
    search_help_text = "Accession or analysis id"
    ordering = ["-queued_at"]
    actions = ["retry"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Without those that the user is not to be shown before their own call."""
        hidden = own_call.hidden_from(request.user, "image__specimen__report__")
        return super().get_queryset(request).exclude(hidden)

    @admin.display(description="Analysis", ordering="id")
    def short(self, analysis: Analysis) -> str:
        """The beginning of its id."""
        return str(analysis.pk)[:8]

    @admin.display(description="Specimen", ordering="image__specimen__accession")
    def specimen(self, analysis: Analysis) -> str:
        """The accession number."""
        return analysis.image.label

    @admin.display(description="Result", ordering="label")
    def result(self, analysis: Analysis) -> str:
        """The class, or else why there is none."""
        if analysis.state == AnalysisState.FAILED:
            return FAILURES.get(analysis.failure, FAILURES["internal"])
        if analysis.outcome == Outcome.CLASSIFIED:
            return analysis.get_label_display()
        return analysis.get_outcome_display() or "-"

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the action is offered at all; the service asks for each clinic."""
        return request.user.has_perm("diagnostics.retry_analysis")

    @admin.action(description="Try failed analyses again", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: Any) -> None:
        """Queue the chosen ones that failed."""
        queued = 0
        for analysis in queryset.filter(state=AnalysisState.FAILED):
            try:
                analyses.retry(user=request.user, analysis=analysis)
                queued += 1
            except Refusal as refusal:
                messages.error(request, f"{analysis.image.label}: {refusal.detail}")
        messages.info(request, f"{queued} queued again.")


@admin.register(DiagnosticReport)
class DiagnosticReportAdmin(ReadOnlyAdmin):
    """Reports; the case page is where they are read and signed."""

    visible = selectors.reports_visible_to
    read_as = "report.read"
    listed_as = "report.listed"
    list_display = [
        "specimen",
        "patient",
        "status",
        "result",
        "updated_at",
        "case",
    ]
    list_filter = [
        "status",
        "certainty",
        "conclusion",
        ("clinic", OwnFilter),
        "updated_at",
    ]
    search_fields = ["specimen__accession", "patient__mrn", "patient__family_name"]
    search_help_text = "Accession, record number or name"
    ordering = ["-updated_at"]
    readonly_fields = ["case"]
    fieldsets = [
        (None, {"fields": ["case", "specimen", "patient", "clinic", "status", "version"]}),
        ("The model", {"fields": ["impression", "certainty"]}),
        ("The reader", {"fields": ["conclusion", "comment", "signed_by", "signed_at"]}),
        ("Record", {"fields": ["verified_by", "verified_at", "released_at", "updated_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Without those that the user is not to be shown before their own call."""
        return super().get_queryset(request).exclude(own_call.hidden_from(request.user))

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """By the same indexes as the worklist's search."""
        clinics = clinic_ids_where(request.user, self.permission("view"))
        of = search.named(search_term, clinics)
        return search.reports_with(queryset, search_term, of), False

    @admin.display(description="Result")
    def result(self, report: DiagnosticReport) -> str:
        """What was concluded, or else the model's impression, hedged as on the worklist."""
        return report.get_conclusion_display() or impression_in_words(report)

    @admin.display(description="Case")
    def case(self, report: DiagnosticReport) -> str:
        """A link to the case page."""
        return _case_link(report, "Open")
