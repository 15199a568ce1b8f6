"""Reports for staff: read (audited), verified, signed; and failed analyses tried again."""

from typing import Any

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from diagnostics import search
from diagnostics.api.report_json import (
    AnalysisStandingSerializer,
    ChangeSerializer,
    LeftSerializer,
    ProofSerializer,
    ReportSerializer,
    ReportSummarySerializer,
    SeenSerializer,
    SendingBackSerializer,
    SignatureSerializer,
    VerificationSerializer,
    WithdrawalSerializer,
)
from diagnostics.documents.answer import pdf_answer
from diagnostics.looking import fields_left
from diagnostics.models import Analysis, Certainty, DiagnosticReport, ReportStatus
from diagnostics.selectors import analyses_visible_to, reports_visible_to
from diagnostics.services import (
    analyses,
    looking,
    own_call,
    printing,
    reading,
    reports,
    signing,
)
from hospital.accounts.api import ScopedViewSet
from hospital.accounts.models import Paper
from hospital.accounts.selectors import clinic_ids_where
from hospital.base.api import OnlyJson
from hospital.base.openapi import problems
from hospital.base.search import Filters


class ReportFilter(Filters):
    """Ways to find a report."""

    clinic = django_filters.UUIDFilter(field_name="clinic_id")
    patient = django_filters.UUIDFilter(field_name="patient_id")
    status = django_filters.MultipleChoiceFilter(choices=ReportStatus.choices)
    certainty = django_filters.ChoiceFilter(choices=Certainty.choices, method="by_models_word")
    impression = django_filters.CharFilter(method="by_models_word", label="The model's class")
    accession = django_filters.CharFilter(field_name="specimen__accession")
    mrn = django_filters.CharFilter(field_name="patient__mrn", lookup_expr="iexact")
    updated_after = django_filters.IsoDateTimeFilter(field_name="updated_at", lookup_expr="gt")
    search = django_filters.CharFilter(
        method="by_words", label="Words of accession, record number or patient's name"
    )

    class Meta:
        model = DiagnosticReport
        fields = ["conclusion"]

    def by_words(
        self, rows: QuerySet[DiagnosticReport], name: str, value: str
    ) -> QuerySet[DiagnosticReport]:
        """Every word in the label or the patient."""
        of = search.named(
            value, clinic_ids_where(self.request.user, "diagnostics.view_diagnosticreport")
        )
        return search.reports_with(rows, value, of)

    def by_models_word(
        self, rows: QuerySet[DiagnosticReport], name: str, value: str
    ) -> QuerySet[DiagnosticReport]:
        """Without those whose model's word is hidden: being found would tell it."""
        return rows.exclude(own_call.hidden_from(self.request.user)).filter(**{name: value})


@extend_schema_view(
    list=extend_schema(summary="Reports of your clinics, latest change first"),
    retrieve=extend_schema(
        summary="One report with its pictures (audited)",
        responses={200: ReportSerializer, **problems(401, 403, 404)},
    ),
)
class ReportViewSet(ScopedViewSet[DiagnosticReport], ListModelMixin, RetrieveModelMixin):
    """The reports of the clinics where the signed-in user may see them."""

    model = DiagnosticReport
    filterset_class = ReportFilter
    listed_as = "report.listed"
    ordering = ("-updated_at", "id")
    permissions = {
        "list": "diagnostics.view_diagnosticreport",
        "retrieve": "diagnostics.view_diagnosticreport",
        "seen": "diagnostics.view_diagnosticreport",
        "sign": "diagnostics.sign_diagnosticreport",
        "confirm": "diagnostics.sign_diagnosticreport",
        "send_back": "diagnostics.sign_diagnosticreport",
        "amend": "diagnostics.sign_diagnosticreport",
        "withdraw": "diagnostics.sign_diagnosticreport",
        "verify": "diagnostics.verify_diagnosticreport",
        "pdf": "diagnostics.view_diagnosticreport",
    }

    def get_serializer_class(self) -> Any:
        """Lists leave the pictures out."""
        return ReportSummarySerializer if self.action == "list" else ReportSerializer

    def visible(self) -> QuerySet[DiagnosticReport]:
        """The clinics' reports."""
        return reports_visible_to(self.request.user)

    def paginate_queryset(self, queryset: Any) -> Any:
        """A page of them, each as the user may be shown it."""
        return own_call.veil(self.request.user, super().paginate_queryset(queryset) or [])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One report, with a note in the audit trail of who looked."""
        report = self.get_object()
        # A program that follows a report by its events reads it once, not with every event.
        reading.note_seen(user=request.user, report=report)
        return Response(ReportSerializer(*own_call.veil(request.user, [report])).data)

    @extend_schema(
        summary="Say which pictures were on the reader's screen",
        request=SeenSerializer,
        responses={200: LeftSerializer, **problems(400, 401, 403, 404)},
    )
    @action(detail=True, methods=["post"])
    def seen(self, request: Request, pk: str) -> Response:
        """For programs that show the pictures themselves. Answers with what is left."""
        report = self.get_object()
        shown = SeenSerializer(data=request.data)
        shown.is_valid(raise_exception=True)
        images = shown.validated_data["images"]
        looking.note_fields_seen(user=request.user, report=report, images=images)
        return Response(LeftSerializer({"left": fields_left(request.user, report)}).data)

    @extend_schema(
        summary="Sign as a haematologist",
        request=SignatureSerializer,
        responses={200: ReportSerializer, **problems(400, 401, 403, 404, 409, 429)},
    )
    @action(detail=True, methods=["post"])
    def sign(self, request: Request, pk: str) -> Response:
        """Conclude: the report is frozen and final, or waits for a second reader."""
        return self._done(request, SignatureSerializer, signing.sign)

    @extend_schema(
        summary="Confirm a first reading as second reader",
        request=ProofSerializer,
        responses={200: ReportSerializer, **problems(400, 401, 403, 404, 409, 429)},
    )
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: str) -> Response:
        """The reading that waits stands, under both names. Nobody confirms their own."""
        return self._done(request, ProofSerializer, signing.confirm)

    @extend_schema(
        summary="Send a first reading back",
        request=SendingBackSerializer,
        responses={200: ReportSerializer, **problems(400, 401, 403, 404, 409, 422)},
    )
    @action(detail=True, methods=["post"], url_path="send-back")
    def send_back(self, request: Request, pk: str) -> Response:
        """The reading that waits is not confirmed: the report is where it was before it."""
        return self._done(request, SendingBackSerializer, signing.send_back)

    @extend_schema(
        summary="Amend or correct a signed report",
        request=ChangeSerializer,
        responses={200: ReportSerializer, **problems(400, 401, 403, 404, 409, 422, 429)},
    )
    @action(detail=True, methods=["post"])
    def amend(self, request: Request, pk: str) -> Response:
        """Another version, with a reason; what was signed before is kept, its readers are told."""

        def change(*, user: Any, report: DiagnosticReport, **given: Any) -> DiagnosticReport:
            change = signing.Change.taken_from(given)
            return signing.amend(user=user, report=report, change=change, **given)

        return self._done(request, ChangeSerializer, change)

    @extend_schema(
        summary="Withdraw a signed report",
        request=WithdrawalSerializer,
        responses={200: ReportSerializer, **problems(400, 401, 403, 404, 409, 422, 429)},
    )
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Entered in error: printed no more, and its readers are told. It cannot be undone."""
        return self._done(request, WithdrawalSerializer, signing.withdraw)

    def _done(self, request: Request, serializer: Any, deed: Any) -> Response:
        """Do it with what was sent, and show the report as it is then."""
        report = self.get_object()
        given = serializer(data=request.data)
        given.is_valid(raise_exception=True)
        done = deed(user=request.user, report=report, **given.validated_data)
        return Response(ReportSerializer(done).data)

    @extend_schema(
        summary="Verify as a technician",
        request=VerificationSerializer,
        responses={200: ReportSerializer, **problems(400, 401, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: str) -> Response:
        """Confirm that the pictures show this specimen and can be read."""
        return self._done(request, VerificationSerializer, reports.verify)

    @extend_schema(
        summary="The report as PDF (audited)",
        parameters=[
            OpenApiParameter(
                "version", int, description="A signed version; left out, the newest or unsigned."
            ),
            OpenApiParameter("paper", str, enum=Paper.values, description="Else the clinic's own."),
        ],
        responses={
            (200, "application/pdf"): OpenApiTypes.BINARY,
            **problems(401, 403, 404, 409, 422),
        },
    )
    # Whatever is accepted: a PDF when there is one, problem+json when not.
    @action(detail=True, methods=["get"], content_negotiation_class=OnlyJson)
    def pdf(self, request: Request, pk: str) -> HttpResponse:
        """As signed, or as it stands, marked as not reviewed. A withdrawn report is refused."""
        printed = printing.for_staff(
            user=request.user,
            report=self.get_object(),
            site=request.build_absolute_uri("/"),
            version=request.query_params.get("version", ""),
            paper=request.query_params.get("paper", ""),
        )
        return pdf_answer(printed)


class AnalysisViewSet(ScopedViewSet[Analysis]):
    """Runs of the model over pictures of the signed-in user's clinics."""

    model = Analysis
    serializer_class = AnalysisStandingSerializer
    permissions = {"retry": "diagnostics.retry_analysis"}

    def visible(self) -> QuerySet[Analysis]:
        """The clinics' analyses."""
        return analyses_visible_to(self.request.user)

    def clinic_of(self, row: Analysis) -> Any:
        """The picture's."""
        return row.image.clinic_id

    @extend_schema(
        summary="Try a failed analysis again",
        request=None,
        responses={202: AnalysisStandingSerializer, **problems(401, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Put it back on the queue."""
        analysis = self.get_object()
        analyses.retry(user=request.user, analysis=analysis)
        return Response(AnalysisStandingSerializer(analysis).data, status=202)
