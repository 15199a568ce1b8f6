"""The microscope's own addresses for pictures: put one, ask what became of it."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from devices.api.authentication import device_of
from devices.api.door import DeviceView
from diagnostics import sent
from diagnostics.models import (
    AnalysisState,
    ControlState,
    FieldImage,
    HoldReason,
    ImageState,
    Outcome,
    ReportStatus,
)
from diagnostics.services import holds, intake
from diagnostics.wording import advice_for
from hospital.base.api import read_body
from hospital.base.logs import follow
from hospital.base.openapi import header, problems
from hospital.base.problems import NotFound, Refusal

# Either case: RFC 9562 writes ids in small letters and bids readers accept both.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_KINDS = ("image/jpeg", "image/png", "image/tiff", "application/octet-stream")


class BadImageId(Refusal):
    """A picture's id is not a UUID."""

    status = 400
    code = "bad_image_id"


class BadCaptureTime(Refusal):
    """Captured-At cannot be read."""

    status = 422
    code = "captured_at_unreadable"


_HELD = serializers.ListField(
    child=serializers.ChoiceField(HoldReason.choices),
    help_text="Why it is kept out of the report until a person has looked; mostly empty.",
)


class ReceiptSerializer(serializers.Serializer[FieldImage]):
    """The hospital's word that a picture is safe."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(ImageState.choices)
    accession = serializers.CharField(source="label")
    sha256 = serializers.CharField()
    received_at = serializers.DateTimeField()
    held = serializers.SerializerMethodField()

    @extend_schema_field(_HELD)
    def get_held(self, image: FieldImage) -> list[str]:
        """Why the picture does not count for now."""
        return holds.reasons_of(image)


class RejectionSerializer(serializers.Serializer[Any]):
    """Why a picture cannot be used, and what the person at the bench can do."""

    code = serializers.CharField()
    advice = serializers.CharField()


class LatestAnalysisSerializer(serializers.Serializer[Any]):
    """Where the picture's latest analysis stands."""

    state = serializers.ChoiceField(AnalysisState.choices)
    outcome = serializers.ChoiceField(Outcome.choices, allow_blank=True)
    failure = serializers.CharField(allow_blank=True)


class ReportStandingSerializer(serializers.Serializer[Any]):
    """The specimen's report: its status only. What it says is not for the microscope."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(ReportStatus.choices)


class ControlSerializer(serializers.Serializer[Any]):
    """What a picture of a control slide proved."""

    state = serializers.ChoiceField(ControlState.choices)
    reasons = serializers.ListField(child=serializers.CharField(), help_text="Why it failed.")


class StandingSerializer(serializers.Serializer[FieldImage]):
    """What became of a picture, and what was received: to compare before deleting one's own."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(ImageState.choices)
    accession = serializers.CharField(source="label")
    sha256 = serializers.CharField()
    received_at = serializers.DateTimeField()
    rejection = serializers.SerializerMethodField()
    analysis = LatestAnalysisSerializer(source="latest", read_only=True, allow_null=True)
    report = serializers.SerializerMethodField()
    held = serializers.SerializerMethodField()
    control = serializers.SerializerMethodField()

    @extend_schema_field(_HELD)
    def get_held(self, image: FieldImage) -> list[str]:
        """Why the picture does not count for now."""
        return holds.reasons_of(image)

    @extend_schema_field(ControlSerializer(allow_null=True))
    def get_control(self, image: FieldImage) -> dict[str, Any] | None:
        """Null but for a control slide."""
        return ControlSerializer(image.control_run).data if image.control_slide_id else None

    @extend_schema_field(RejectionSerializer(allow_null=True))
    def get_rejection(self, image: FieldImage) -> dict[str, str] | None:
        """Code and advice of a rejected picture."""
        if not image.rejection:
            return None
        return {"code": image.rejection, "advice": advice_for(image.rejection)}

    @extend_schema_field(ReportStandingSerializer(allow_null=True))
    def get_report(self, image: FieldImage) -> dict[str, Any] | None:
        """The specimen's."""
        report = getattr(image.specimen, "report", None)
        return ReportStandingSerializer(report).data if report else None


_IMAGE_ID = OpenApiParameter(
    "image_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="Made by the microscope."
)


class ImageView(DeviceView):
    """One picture, under the id that the microscope gave it."""

    @extend_schema(
        operation_id="device_put_image",
        tags=["device"],
        request=dict.fromkeys(_KINDS, OpenApiTypes.BINARY),
        parameters=[
            _IMAGE_ID,
            header("Content-Digest", "RFC 9530: `sha-256=:…:`, base64 SHA-256 of the body."),
            header("Accession-Number", "What the label on the slide says."),
            header("Captured-At", "RFC 3339, by the microscope's clock.", required=False),
        ],
        responses={
            200: ReceiptSerializer,
            201: ReceiptSerializer,
            **problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
        },
    )
    def put(self, request: Request, image_id: str) -> Response:
        """Store a picture for good. 201 the first time, 200 for the same picture again."""
        captured_at = captured_at_of(request.headers.get("Captured-At", ""))
        picture = image_id_of(image_id)
        follow(picture)
        image, created = intake.receive(
            device=device_of(request),
            image_id=picture,
            body=read_body(request),
            content_digest=request.headers.get("Content-Digest", ""),
            accession=request.headers.get("Accession-Number", "").strip(),
            captured_at=captured_at,
        )
        return Response(ReceiptSerializer(image).data, status=201 if created else 200)

    @extend_schema(
        operation_id="device_get_image",
        tags=["device"],
        parameters=[_IMAGE_ID],
        responses={200: StandingSerializer, **problems(400, 401, 403, 404)},
    )
    def get(self, request: Request, image_id: str) -> Response:
        """What became of a picture that this microscope sent."""
        own = sent.images_by(device_of(request))
        image = own.filter(pk=image_id_of(image_id)).first()
        if image is None:
            raise NotFound(
                "This microscope has sent no picture under this id.", code="unknown_image"
            )
        return Response(StandingSerializer(image).data)


def image_id_of(text: str) -> UUID:
    """The id that `text` spells.

    Raises:
        BadImageId: it is no UUID.
    """
    if not _UUID.fullmatch(text):
        raise BadImageId("A picture's id must be a UUID, for example from uuidgen.")
    return UUID(text)


def captured_at_of(header: str) -> datetime | None:
    """The time in the header as UTC, None without one.

    Raises:
        BadCaptureTime: it is no RFC 3339 time with a zone.
    """
    if not header:
        return None
    try:
        if not _RFC3339.fullmatch(header.strip()):
            raise ValueError(header)
        return datetime.fromisoformat(header.strip().upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadCaptureTime(
            "Captured-At must be an RFC 3339 time with its zone, like 2026-03-01T09:30:00Z. "
            "Mend it or leave it out."
        ) from error
