"""Every request is timed, logged by its route, and given an id under which it can be followed."""

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from hospital.base.logs import followed, following, trace_of
from hospital.base.meters import REQUESTS

log = logging.getLogger("hospital.requests")


class Watched:
    """Middleware, the outermost but for what machines ask.

    The line has the route's name, never the address: that may hold what somebody searched for.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and say what was answered."""
        trace = trace_of(request.headers.get("X-Request-ID", ""))
        begun = time.perf_counter()
        with following(trace):
            response = self.get_response(request)
            # A view that stores a picture goes over to the picture's id.
            trace = followed()
            took = time.perf_counter() - begun
            match = request.resolver_match
            route = (match.view_name if match else "") or "-"
            REQUESTS.labels(route, request.method, response.status_code).observe(took)
            log.info(
                "%s %s %d",
                request.method,
                route,
                response.status_code,
                extra={"facts": {"ms": round(1000 * took, 1)}},
            )
        response.headers.setdefault("X-Request-ID", trace)
        return response
