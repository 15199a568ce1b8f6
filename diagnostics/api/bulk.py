"""Many pictures in one request: for a microscope that was away, or one that scans a whole slide."""

import json
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from devices.api.authentication import device_of
from devices.api.door import DeviceView
from diagnostics.api.device import ReceiptSerializer, captured_at_of, image_id_of
from diagnostics.models import FieldImage
from diagnostics.services import intake
from diagnostics.services.intake import Sent
from hospital.base.api import problem_of, read_body
from hospital.base.openapi import problems
from hospital.base.problems import Refusal

Line = dict[str, Any]


class MalformedBulk(Refusal):
    """The body is not what it should be: a line of JSON, then as many bytes as it says, …"""

    status = 400
    code = "malformed_bulk"


class TooManyPictures(Refusal):
    """More pictures in a request than are taken."""

    status = 413
    code = "too_many_pictures"


class ResultSerializer(ReceiptSerializer):
    """What the address for one picture would have answered, with its status."""

    status = serializers.IntegerField(help_text="201, 200, or that of the refusal.")
    code = serializers.CharField(required=False, help_text="Refused: as in problem+json.")
    detail = serializers.CharField(required=False, help_text="Refused: what to do.")
    retry_after = serializers.IntegerField(required=False, help_text="Seconds.")


class ResultsSerializer(serializers.Serializer[Any]):
    """One result for each picture, in their order."""

    results = ResultSerializer(many=True)


class ImagesView(DeviceView):
    """Many pictures at once, each judged by itself."""

    @extend_schema(
        operation_id="device_post_images",
        tags=["device"],
        description="The body: for each picture a line of JSON with `id`, `accession`, "
        "`content_digest`, `size` (bytes) and, if known, `captured_at`; a line feed; the bytes. "
        "No picture is refused for what is wrong with another.",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={200: ResultsSerializer, **problems(400, 401, 403, 413, 503)},
    )
    def post(self, request: Request) -> Response:
        """Store each picture for good, as one by one; 200 once all have been judged."""
        pictures = split(read_body(request), most=settings.MAX_BULK_PICTURES)
        results: list[Line] = [{} for _ in pictures]
        sent: dict[int, Sent] = {}
        for number, (line, body) in enumerate(pictures):
            try:
                sent[number] = _sent(line, body)
            except Refusal as refusal:
                results[number] = _refused(line, refusal)
        answers = intake.receive_all(device=device_of(request), pictures=list(sent.values()))
        for number, answer in zip(sent, answers, strict=True):
            if isinstance(answer, Refusal):
                results[number] = _refused(pictures[number][0], answer)
            else:
                results[number] = _stored(*answer)
        return Response({"results": results})


def split(body: bytes, *, most: int) -> Sequence[tuple[Line, bytes]]:
    """The pictures in a bulk body, each with its line.

    Raises:
        MalformedBulk: a line is no JSON object with a size, or bytes are missing.
        TooManyPictures: there are more than `most`.
    """
    found: list[tuple[Line, bytes]] = []
    start = 0
    while start < len(body):
        if len(found) == most:
            raise TooManyPictures(f"At most {most} pictures in a request. Send the rest in others.")
        end = body.find(b"\n", start)
        line = _line(body[start:end] if end >= 0 else b"", number=len(found) + 1)
        start = end + 1 + line["size"]
        if start > len(body):
            raise MalformedBulk(f"The body ends within picture {len(found) + 1}. Send it again.")
        found.append((line, body[end + 1 : start]))
    return found


def _line(text: bytes, *, number: int) -> Line:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        line = None
    size = line.get("size") if isinstance(line, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise MalformedBulk(
            f"Before picture {number} there must be a line of JSON that says its 'size' in bytes."
        )
    return dict(line)


def _sent(line: Line, body: bytes) -> Sent:
    words = {name: line.get(name) for name in ("id", "content_digest", "accession", "captured_at")}
    told = {name: word if isinstance(word, str) else "" for name, word in words.items()}
    return Sent(
        image_id=image_id_of(told["id"]),
        body=body,
        content_digest=told["content_digest"],
        accession=told["accession"].strip(),
        captured_at=captured_at_of(told["captured_at"]),
    )


def _stored(image: FieldImage, created: bool) -> Line:
    return {"status": 201 if created else 200, **ReceiptSerializer(image).data}


def _refused(line: Line, refusal: Refusal) -> Line:
    given = line.get("id")
    # Said back only if it can be: JSON lets half characters and NaN in, and not out again.
    known = given if isinstance(given, str) and given.isprintable() else None
    result = {"id": known, **problem_of(refusal)}
    if refusal.retry_after is not None:
        result["retry_after"] = refusal.retry_after
    return result
