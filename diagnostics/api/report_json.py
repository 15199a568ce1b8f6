"""A report as JSON: what the model found, what a person concluded, and every picture."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from diagnostics.models import (
    Analysis,
    AnalysisState,
    Certainty,
    Conclusion,
    Deed,
    DiagnosticReport,
    FieldImage,
    HoldReason,
    ImageState,
    Outcome,
    ReportStatus,
)
from diagnostics.patient_message import DISCLAIMER
from diagnostics.selectors import images_with_analyses
from diagnostics.services import own_call
from ml.classes import CLASSES


class ProbabilitiesSerializer(serializers.Serializer[Any]):
    """Calibrated probabilities of the four classes; their sum is 1."""

    benign = serializers.FloatField()
    early_pre_b = serializers.FloatField()
    pre_b = serializers.FloatField()
    pro_b = serializers.FloatField()


class AnalysisStandingSerializer(serializers.Serializer[Analysis]):
    """Where an analysis stands. `outcome` and `failure` are empty until there is one."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(AnalysisState.choices)
    outcome = serializers.ChoiceField(Outcome.choices, allow_blank=True)
    failure = serializers.CharField(allow_blank=True)


class ReportImageSerializer(serializers.Serializer[Any]):
    """One picture and what its latest analysis says."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(ImageState.choices)
    rejection = serializers.CharField(allow_blank=True, help_text="Why it was rejected: a code.")
    held = serializers.ListField(
        child=serializers.ChoiceField(HoldReason.choices), help_text="Why it does not count yet."
    )
    analysis = serializers.UUIDField(allow_null=True, help_text="Its id, to try it again.")
    analysis_state = serializers.ChoiceField(AnalysisState.choices, allow_null=True)
    failure = serializers.CharField(allow_blank=True)
    outcome = serializers.ChoiceField(Outcome.choices, allow_blank=True)
    label = serializers.ChoiceField(  # type: ignore[assignment]
        [(c.value, c.name) for c in CLASSES],
        allow_blank=True,
        help_text="The picture's leading class.",
    )
    probabilities = ProbabilitiesSerializer(allow_null=True)
    quality = serializers.DictField()
    cell_count = serializers.IntegerField(allow_null=True)


class PatientRefSerializer(serializers.Serializer[Any]):
    """Whose blood it is, without the name."""

    id = serializers.UUIDField()
    mrn = serializers.CharField()


class FieldCountsSerializer(serializers.Serializer[Any]):
    """How many pictures there are, by what became of them."""

    total = serializers.IntegerField(default=0)
    pending = serializers.IntegerField(default=0)
    failed = serializers.IntegerField(default=0)
    classified = serializers.IntegerField(default=0)
    unfamiliar = serializers.IntegerField(default=0)
    not_a_smear = serializers.IntegerField(default=0)
    unusable = serializers.IntegerField(default=0)
    repeated = serializers.IntegerField(
        default=0, help_text="Sent again to the byte under another id: no evidence of its own."
    )
    held = serializers.IntegerField(default=0, help_text="Do not count until released.")
    set_aside = serializers.IntegerField(
        default=0, help_text="Rejected by a person: repeated, or of another specimen."
    )


class ReportSummarySerializer(serializers.Serializer[DiagnosticReport]):
    """A report without its pictures."""

    id = serializers.UUIDField()
    accession = serializers.CharField(source="specimen.accession")
    patient = PatientRefSerializer()
    clinic = serializers.UUIDField(source="clinic_id")
    status = serializers.ChoiceField(ReportStatus.choices)
    version = serializers.IntegerField(help_text="Send it back when you verify or sign.")
    updated_at = serializers.DateTimeField()
    impression = serializers.ChoiceField(
        [(c.value, c.name) for c in CLASSES],
        allow_blank=True,
        help_text="The model's leading class.",
    )
    impression_display = serializers.CharField(source="get_impression_display", allow_blank=True)
    certainty = serializers.ChoiceField(Certainty.choices, allow_blank=True)
    probabilities = serializers.SerializerMethodField()
    conclusion = serializers.ChoiceField(Conclusion.choices, allow_blank=True)
    comment = serializers.CharField(allow_blank=True)
    signed_by = serializers.SerializerMethodField()
    signed_at = serializers.DateTimeField(allow_null=True)
    released_at = serializers.DateTimeField(allow_null=True)
    synthetic = serializers.SerializerMethodField()
    packages = serializers.SerializerMethodField()
    own_call_first = serializers.BooleanField(
        source="veiled",
        help_text="Whether what the model says is left out until you have made your own call.",
    )
    disclaimer = serializers.SerializerMethodField()

    def get_fields(self) -> dict[str, Any]:
        """The declared ones, and 'fields': a name the class itself needs."""
        return {**super().get_fields(), "fields": FieldCountsSerializer(source="findings.fields")}

    @extend_schema_field(ProbabilitiesSerializer(allow_null=True))
    def get_probabilities(self, report: DiagnosticReport) -> Any:
        """Mean over the classified pictures."""
        return report.findings.get("probabilities")

    def get_signed_by(self, report: DiagnosticReport) -> str | None:
        """The signer's name."""
        return str(report.signed_by) if report.signed_by else None

    def get_synthetic(self, report: DiagnosticReport) -> bool:
        """Whether any picture was made by a program."""
        return bool(report.findings.get("synthetic"))

    def get_packages(self, report: DiagnosticReport) -> list[str]:
        """Name and digest of every model package involved."""
        return list(report.findings.get("packages", []))

    def get_disclaimer(self, report: DiagnosticReport) -> str:
        """What must stand beside every result."""
        return str(DISCLAIMER)


class NameSerializer(serializers.Serializer[Any]):
    """A name put to a report."""

    deed = serializers.ChoiceField(Deed.choices)
    becomes = serializers.ChoiceField(ReportStatus.choices)
    conclusion = serializers.ChoiceField(Conclusion.choices, allow_blank=True)
    comment = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    version = serializers.IntegerField()
    by = serializers.CharField()
    at = serializers.DateTimeField()


class ReportSerializer(ReportSummarySerializer):
    """A report with its pictures."""

    read_by = serializers.SerializerMethodField()
    waiting = NameSerializer(
        allow_null=True, help_text="A first reading that a second reader has yet to confirm."
    )
    signatures = serializers.SerializerMethodField()
    images = serializers.SerializerMethodField()

    def get_read_by(self, report: DiagnosticReport) -> str | None:
        """Whose reading the signer confirmed as second reader."""
        return str(report.read_by) if report.read_by else None

    @extend_schema_field(NameSerializer(many=True))
    def get_signatures(self, report: DiagnosticReport) -> Any:
        """Every name that was put to it, the newest first."""
        return NameSerializer(report.signatures.select_related("by"), many=True).data

    @extend_schema_field(ReportImageSerializer(many=True))
    def get_images(self, report: DiagnosticReport) -> Any:
        """In order of arrival."""
        images = images_with_analyses(report)
        return [_image(one) for one in (own_call.veil_fields(images) if report.veiled else images)]


class VerificationSerializer(serializers.Serializer[Any]):
    """The version that was looked at."""

    version = serializers.IntegerField(min_value=1)


class SeenSerializer(serializers.Serializer[Any]):
    """Pictures of the report that were on the reader's screen."""

    images = serializers.ListField(child=serializers.UUIDField(), max_length=1000)


class FieldLeftSerializer(serializers.Serializer[Any]):
    """A usable picture that the reader has not been shown."""

    number = serializers.IntegerField(help_text="By arrival, from 1.")
    image = serializers.UUIDField(source="image_id")


class LeftSerializer(serializers.Serializer[Any]):
    """What the reader has yet to be shown before they sign."""

    left = FieldLeftSerializer(many=True)


class ProofSerializer(VerificationSerializer):
    """The version that was looked at, and once more who one is: by password, or by code."""

    password = serializers.CharField(
        write_only=True, required=False, default="", trim_whitespace=False, max_length=200
    )
    code = serializers.CharField(
        write_only=True,
        required=False,
        default="",
        max_length=40,
        help_text="Of the authenticator app, or a recovery code; good once.",
    )


class SignatureSerializer(ProofSerializer):
    """A haematologist's conclusion, under their password."""

    conclusion = serializers.ChoiceField(Conclusion.choices)
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    words = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField(allow_blank=True)),
        required=False,
        default=None,
        help_text="What the family reads, where it is not the house's words: by reading level "
        "('simple', 'plain', 'detailed'), then by part ('means', 'means_not', 'next').",
    )


class ChangeSerializer(SignatureSerializer):
    """Another version of a signed report, and why."""

    becomes = serializers.ChoiceField(
        [ReportStatus.AMENDED.value, ReportStatus.CORRECTED.value],
        help_text="'amended': there is more to say; 'corrected': it was wrong.",
    )
    reason = serializers.CharField(max_length=2000, help_text="For colleagues, on paper too.")


class SendingBackSerializer(VerificationSerializer):
    """Why the reading that waits is not confirmed."""

    reason = serializers.CharField(max_length=2000)


class WithdrawalSerializer(ProofSerializer):
    """Why a signed report does not hold at all."""

    reason = serializers.CharField(max_length=2000, help_text="For colleagues.")


def _image(image: FieldImage) -> dict[str, Any]:
    analysis = next(iter(image.latest_analyses), None)  # type: ignore[attr-defined]
    said = {
        "analysis": analysis.pk if analysis else None,
        "analysis_state": analysis.state if analysis else None,
        "failure": analysis.failure if analysis else "",
        "outcome": analysis.outcome if analysis else "",
        "label": analysis.label if analysis else "",
        "probabilities": analysis.probabilities if analysis else None,
        "quality": analysis.quality if analysis else {},
        "cell_count": analysis.cell_count if analysis else None,
    }
    held = [hold.reason for hold in image.open_holds]  # type: ignore[attr-defined]
    known = {"id": image.pk, "state": image.state, "rejection": image.rejection, "held": held}
    return dict(ReportImageSerializer(known | said).data)
