"""Large pictures in pieces: tus 1.0 (https://tus.io/protocols/resumable-upload) for microscopes.

Core protocol, creation, creation-with-upload, checksum, expiration, termination. A field image
comes into being with the last byte, and the answer to it is what `PUT images/{uuid}` would say.
"""

import base64
import binascii
import re
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from devices.api.authentication import device_of
from devices.api.door import DeviceView
from diagnostics import sent
from diagnostics.api.device import captured_at_of, image_id_of
from diagnostics.models import Upload
from diagnostics.services import uploads
from hospital.base.api import read_body
from hospital.base.openapi import header, problems
from hospital.base.problems import NotFound, Refusal

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
PIECE = "application/offset+octet-stream"
_NUMBER = re.compile(r"[0-9]{1,15}")


class UnsupportedVersion(Refusal):
    """Not the version of tus that is spoken here, or none."""

    status = 412
    code = "unsupported_version"


class MalformedUpload(Refusal):
    """A header of the protocol is missing or cannot be read."""

    status = 400
    code = "malformed_upload"


class NotAPiece(Refusal):
    """The body does not say that it is a piece of an upload."""

    status = 415
    code = "not_a_piece"


class TusView(DeviceView):
    """What both addresses share: the version that must be said, and headers on every answer."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Some senders know no PATCH or DELETE; the protocol lets them name it in a header."""
        if meant := request.headers.get("X-HTTP-Method-Override"):
            request.method = meant.upper()
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let in who speaks our version.

        Raises:
            UnsupportedVersion: somebody else, but for OPTIONS.
        """
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
            raise UnsupportedVersion(f"Send the header 'Tus-Resumable: {VERSION}'.")

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """With the version on it, and never to be kept by anything on the way."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Tus-Resumable"] = answer["Tus-Version"] = VERSION
        answer["Cache-Control"] = "no-store"
        return answer

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """What is understood here."""
        headers = {
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(settings.MAX_UPLOAD_BYTES),
            "Tus-Checksum-Algorithm": ",".join(uploads.CHECKSUMS),
        }
        return Response(status=204, headers=headers)


_TUS = header("Tus-Resumable", f"`{VERSION}`")
_CHECKSUM = header(
    "Upload-Checksum", "`sha256` or `sha1`, a space, base64; of this piece.", required=False
)
_UPLOAD_ID = OpenApiParameter("upload_id", OpenApiTypes.UUID, OpenApiParameter.PATH)


class UploadsView(TusView):
    """Where uploads begin."""

    @extend_schema(
        operation_id="device_begin_upload",
        tags=["device"],
        description="`Location` in the answer is where the pieces go. The same again finds the "
        "same upload; ask there with HEAD how far it is.",
        request={PIECE: OpenApiTypes.BINARY},
        parameters=[
            _TUS,
            header("Upload-Length", "Bytes of the whole picture."),
            header(
                "Upload-Metadata",
                "`image_id`, `accession`, `content_digest` and, if known, `captured_at`: each a "
                "space and its value in base64, with commas between them.",
            ),
            _CHECKSUM,
        ],
        responses={
            201: OpenApiResponse(description="It may begin at `Location`, from `Upload-Offset`."),
            **problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 460, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """Begin an upload, or find the one begun before; the body may be its first piece."""
        told = metadata_of(request.headers.get("Upload-Metadata", ""))
        upload = uploads.begin(
            device=device_of(request),
            image_id=image_id_of(told.get("image_id", "")),
            accession=told.get("accession", "").strip(),
            content_digest=told.get("content_digest", ""),
            captured_at=captured_at_of(told.get("captured_at", "")),
            length=_number(request, "Upload-Length"),
        )
        # With an upload that was begun before, the sender goes on from where the answer says.
        if request.content_type == PIECE and upload.offset == 0:
            _append(request, upload, offset=0)
        uploads.finish(upload)
        place = reverse("api:device-upload", kwargs={"upload_id": str(upload.pk)})
        return Response(status=201, headers={"Location": place, **_standing(upload)})


class UploadView(TusView):
    """One upload on its way."""

    def head(self, request: Request, upload_id: str) -> Response:
        """How far it is. All of it means: the picture is safe, as a 201 would."""
        upload = self._upload(request, upload_id)
        uploads.finish(upload)
        told = {
            "image_id": str(upload.image_id),
            "accession": upload.accession,
            "content_digest": upload.content_digest,
        }
        if upload.captured_at:
            told["captured_at"] = upload.captured_at.isoformat()
        known = {"Upload-Length": str(upload.length), "Upload-Metadata": metadata(told)}
        return Response(status=200, headers={**_standing(upload), **known})

    @extend_schema(
        operation_id="device_continue_upload",
        tags=["device"],
        description="With the last piece the picture is judged and stored: 204 then means that "
        "it is safe, and a refusal is that of the picture. HEAD on the same address tells "
        "`Upload-Offset` and `Upload-Length`.",
        request={PIECE: OpenApiTypes.BINARY},
        parameters=[
            _TUS,
            _UPLOAD_ID,
            header("Upload-Offset", "Where this piece begins: as many bytes as are here."),
            _CHECKSUM,
        ],
        responses={
            204: OpenApiResponse(description="`Upload-Offset` tells how many bytes are here."),
            **problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 460, 503),
        },
    )
    def patch(self, request: Request, upload_id: str) -> Response:
        """Add a piece. What arrives of one that breaks off is kept, unless it has a checksum."""
        if request.content_type != PIECE:
            raise NotAPiece(f"Send the piece with 'Content-Type: {PIECE}'.")
        upload = self._upload(request, upload_id)
        uploads.finish(upload)
        _append(request, upload, offset=_number(request, "Upload-Offset"))
        uploads.finish(upload)
        return Response(status=204, headers=_standing(upload))

    @extend_schema(
        operation_id="device_end_upload",
        tags=["device"],
        parameters=[_TUS, _UPLOAD_ID],
        responses={204: None, **problems(401, 403, 404, 412)},
    )
    def delete(self, request: Request, upload_id: str) -> Response:
        """Give it up. A picture that has been taken in stays."""
        uploads.end(self._upload(request, upload_id))
        return Response(status=204)

    def _upload(self, request: Request, upload_id: str) -> Upload:
        mine = sent.uploads_by(device_of(request)).select_related("device")
        try:
            upload = mine.filter(pk=UUID(upload_id)).first()
        except ValueError:
            upload = None
        if upload is None:
            raise NotFound(
                "This microscope has no such upload, or it has expired. Begin again.",
                code="unknown_upload",
            )
        return upload


def metadata_of(text: str) -> dict[str, str]:
    """What a header Upload-Metadata says.

    Raises:
        MalformedUpload: it is not pairs of name and base64 (of UTF-8).
    """
    told = {}
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        name, _, value = pair.partition(" ")
        try:
            told[name] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise MalformedUpload(
                f"Upload-Metadata: the value of '{name}' must be base64 of UTF-8."
            ) from error
    return told


def metadata(told: dict[str, str]) -> str:
    """The header Upload-Metadata that says this."""
    return ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in told.items()
    )


def _append(request: Request, upload: Upload, *, offset: int) -> None:
    checksum = request.headers.get("Upload-Checksum", "").strip()
    # Nothing else holds on to the body: at the end it is read again with all the others.
    uploads.append(upload=upload, offset=offset, body=read_body(request), checksum=checksum)


def _number(request: Request, name: str) -> int:
    said = request.headers.get(name, "").strip()
    if not _NUMBER.fullmatch(said):
        raise MalformedUpload(f"Send the header '{name}' with a number of bytes.")
    return int(said)


def _standing(upload: Upload) -> dict[str, str]:
    expires = http_date(upload.expires_at.timestamp())
    return {"Upload-Offset": str(upload.offset), "Upload-Expires": expires}
