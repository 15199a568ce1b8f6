"""No address has a NUL in it: PostgreSQL stores none, and an answer of 500 would say so."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse

from hospital.base.api import PROBLEM_JSON, problem_of
from hospital.base.problems import Refusal


class NulInAddress(Refusal):
    """The address cannot be meant."""

    status = 400
    code = "nul_in_address"


class NoNul:
    """Middleware: 400 for a NUL in path or query. Forms and JSON refuse their own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Refuse it in the form that whoever asked reads, or pass it on."""
        query = str(request.META.get("QUERY_STRING", ""))
        if "\0" not in request.path_info and "%00" not in query and "\0" not in query:
            return self.get_response(request)
        refusal = NulInAddress("Take the NUL out of the address.")
        if request.path_info.startswith("/api/"):
            return JsonResponse(problem_of(refusal), status=400, content_type=PROBLEM_JSON)
        return HttpResponseBadRequest(refusal.detail, content_type="text/plain")
