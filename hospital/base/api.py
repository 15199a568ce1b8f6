"""The API's border: bodies read with a limit, refusals as problem+json (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.views import exception_handler

from hospital.base.problems import Conflict, NotFound, Overloaded, Refusal, TooLarge, phrase_of

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"


class BrokenBody(Refusal):
    """The sender went away in the middle of the body."""

    status = 400
    code = "incomplete_body"


class OnlyJson(BaseContentNegotiation):
    """For machines whose Accept header means nothing: they always get JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """The first; views that read the body themselves never ask."""
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        """The first, whatever was asked for."""
        return renderers[0], renderers[0].media_type


def read_body(request: Request, *, limit: int | None = None) -> bytes:
    """The raw body, read once and never past `limit` (default: MAX_UPLOAD_BYTES).

    Not `request.data`: DRF takes a body without Content-Length (chunked, as `curl -T -` sends it)
    for an empty one, and asks for a parser by a Content-Type that microscopes get wrong.

    Raises:
        TooLarge: there is more than `limit`.
        BrokenBody: the connection broke.
    """
    limit = settings.MAX_UPLOAD_BYTES if limit is None else limit
    try:
        body: bytes = request._request.read(limit + 1)
    except RequestDataTooBig as error:
        raise TooLarge.than(limit) from error
    except UnreadablePostError as error:
        raise BrokenBody("The body did not arrive completely. Send it again.") from error
    if len(body) > limit:
        raise TooLarge.than(limit)
    return body


def no_such_address(request: HttpRequest, path: str = "") -> JsonResponse:
    """404 for machines: what every unknown address below /api/ answers."""
    refusal = NotFound("There is nothing at this address. See /api/docs/ for those there are.")
    body = _body(refusal.status, code=refusal.code, detail=refusal.detail)
    return JsonResponse(body, status=refusal.status, content_type=PROBLEM_JSON)


def problem_response(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every error becomes problem+json with a stable code."""
    exc = _as_known(exc)
    if isinstance(exc, Refusal):
        return _from_refusal(exc)
    response = exception_handler(exc, context)
    if response is None:
        return None
    body: dict[str, Any] = {"code": _code(exc), "detail": _detail(exc)}
    if isinstance(exc, exceptions.ValidationError):
        body["errors"] = response.data
    headers = {k: v for k, v in response.headers.items() if k != "Content-Type"}
    return _problem(response.status_code, headers=headers, **body)


def _as_known(exc: Exception) -> Exception:
    """Errors of the layers below, in the words of the border."""
    if isinstance(exc, ModelValidationError):
        return exceptions.ValidationError(as_serializer_error(exc))  # type: ignore[arg-type]
    if isinstance(exc, RequestDataTooBig):
        return TooLarge.than(settings.MAX_UPLOAD_BYTES)
    if isinstance(exc, IntegrityError):
        log.warning("two writes met: %s", exc)
        return Conflict("Somebody stored the same thing at the same moment. Look at it first.")
    if isinstance(exc, OperationalError):
        log.error("the database did not answer", exc_info=exc)
        return Overloaded(
            "The database does not answer just now. Nothing was stored; try again.",
            code="storage_unavailable",
            retry_after=30,
        )
    return exc


def _from_refusal(refusal: Refusal) -> Response:
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="leukolens"'
    return Response(problem_of(refusal), refusal.status, headers=headers, content_type=PROBLEM_JSON)


def problem_of(refusal: Refusal) -> dict[str, Any]:
    """A refusal as the members of problem+json."""
    body = {"code": refusal.code, "detail": refusal.detail, **refusal.extra}
    return _body(refusal.status, **body)


def _problem(status: int, *, headers: dict[str, str], **body: Any) -> Response:
    return Response(
        _body(status, **body), status=status, headers=headers, content_type=PROBLEM_JSON
    )


def _body(status: int, **body: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": phrase_of(status), "status": status, **body}


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
