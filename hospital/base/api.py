"""The API's border: refusals as problem+json (RFC 9457), and nothing allowed by default."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.views import exception_handler

from hospital.base.problems import Refusal

PROBLEM_JSON = "application/problem+json"


class Denied(BasePermission):
    """The default of every API view: a view that names no permission lets nobody in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Never."""
        return False


def problem_response(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every error becomes problem+json with a stable code."""
    if isinstance(exc, ModelValidationError):
        exc = exceptions.ValidationError(as_serializer_error(exc))  # type: ignore[arg-type]
    if isinstance(exc, Refusal):
        return _from_refusal(exc)
    response = exception_handler(exc, context)
    if response is None:
        return None
    body: dict[str, Any] = {"code": _code(exc), "detail": _detail(exc)}
    if isinstance(exc, exceptions.ValidationError):
        body["errors"] = response.data
    return _problem(response.status_code, body, headers=dict(response.headers))


def _from_refusal(refusal: Refusal) -> Response:
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    body = {"code": refusal.code, "detail": refusal.detail, **refusal.extra}
    return _problem(refusal.status, body, headers=headers)


def _problem(status: int, body: dict[str, Any], *, headers: dict[str, str]) -> Response:
    title = HTTPStatus(status).phrase
    headers.pop("Content-Type", None)
    return Response(
        {"type": "about:blank", "title": title, "status": status, **body},
        status=status,
        headers=headers,
        content_type=PROBLEM_JSON,
    )


def _code(exc: Exception) -> str:
    if isinstance(exc, exceptions.ValidationError):
        return "invalid"
    if isinstance(exc, Http404):
        return "not_found"
    return str(getattr(exc, "default_code", "error"))


def _detail(exc: Exception) -> str:
    if isinstance(exc, exceptions.ValidationError):
        return "Some fields are missing or wrong; 'errors' names them."
    return str(getattr(exc, "detail", exc) or HTTPStatus.NOT_FOUND.description)
