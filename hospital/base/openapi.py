"""What the OpenAPI description says about keys, sessions and refusals, once for all views."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    inline_serializer,
)
from rest_framework import serializers

from hospital.base.problems import phrase_of

_problem = inline_serializer(
    "Problem",
    {
        "type": serializers.CharField(help_text="Always 'about:blank'."),
        "title": serializers.CharField(help_text="The status in words."),
        "status": serializers.IntegerField(),
        "code": serializers.CharField(help_text="Stable; for programs."),
        "detail": serializers.CharField(help_text="A sentence for a person: what to do."),
        "errors": serializers.DictField(
            required=False, help_text="With code 'invalid': what is wrong, by field."
        ),
    },
)

# One example a status is enough to show the shape; docs/device-api.md lists every code.
_EXAMPLES: dict[int, tuple[str, str]] = {
    400: ("invalid", "Some fields are missing or wrong; 'errors' names them."),
    401: ("key_missing", "Send the microscope's key as 'Authorization: Bearer <key>'."),
    403: ("forbidden", "Your role does not let you do this in this clinic."),
    404: ("not_found", "No such thing, or none that you may know of."),
    409: ("stale_state", "This has changed meanwhile. Reload it and try again."),
    412: ("unsupported_version", "Send the header 'Tus-Resumable: 1.0.0'."),
    413: ("too_large", "The limit is 31457280 bytes. Send a smaller or compressed picture."),
    415: ("not_an_image", "These bytes are not a picture."),
    422: ("digest_mismatch", "The picture was damaged on its way. Send it again."),
    429: ("too_many_uploads", "More than 600 pictures in a minute. Wait, then send again."),
    460: ("checksum_mismatch", "This piece was damaged or cut short on its way. Send it again."),
    503: ("overloaded", "Too many pictures are waiting. Keep this one and send it again."),
}


def header(name: str, description: str, *, required: bool = True) -> OpenApiParameter:
    """A request header, for `extend_schema`."""
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, required=required, description=description
    )


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """Responses for `extend_schema`: each of `statuses` as problem+json with an example."""
    return {
        (status, "application/problem+json"): OpenApiResponse(
            _problem,
            description=phrase_of(status),
            examples=[_example(status)],
        )
        for status in statuses
    }


def _example(status: int) -> OpenApiExample:
    code, detail = _EXAMPLES[status]
    return OpenApiExample(
        code,
        value={
            "type": "about:blank",
            "title": phrase_of(status),
            "status": status,
            "code": code,
            "detail": detail,
        },
        media_type="application/problem+json",
        response_only=True,
        status_codes=[str(status)],
    )


def lists_refuse(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """drf-spectacular's hook: every list that goes by pages says what it refuses, and once.

    400 a filter, 401 nobody, 403 a role, 404 a place in the list that it never gave.
    """
    for operations in result["paths"].values():
        listed = operations.get("get", {})
        if any(parameter["name"] == "cursor" for parameter in listed.get("parameters", ())):
            for status in (400, 401, 403, 404):
                listed["responses"].setdefault(str(status), _refusal(status))
    return result


def _refusal(status: int) -> dict[str, Any]:
    code, detail = _EXAMPLES[status]
    said = _example(status).value
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: {"value": said, "summary": detail}},
    }
    return {"description": phrase_of(status), "content": {"application/problem+json": content}}


class _Key(OpenApiAuthenticationExtension):  # type: ignore[misc, no-untyped-call]
    target_class = "devices.api.authentication.KeyAuthentication"
    name = "deviceKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A microscope's key, issued in the admin and shown there once.",
        }


class _Session(OpenApiAuthenticationExtension):  # type: ignore[misc, no-untyped-call]
    target_class = "hospital.accounts.api.StaffSession"
    name = "staffSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """The session's cookie."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "Sign in at /login/; send the CSRF cookie's value as X-CSRFToken with "
            "every POST, PATCH and DELETE.",
        }
