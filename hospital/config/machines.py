"""What machines ask, by number rather than by name and without TLS, from inside.

A load balancer, Kubernetes and Prometheus call a process at its own address. Django's middleware
would refuse that as an unknown host, or send them to https; these addresses hold nothing of
anybody, so they are answered before it.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import path

from hospital.config.health import healthz, readyz
from hospital.config.metrics import metrics

VIEWS = {"healthz": healthz, "readyz": readyz, "metrics": metrics}

# Also among all other addresses, so that whoever lists those finds them.
urlpatterns = [path(name, view, name=name) for name, view in VIEWS.items()]


class ForMachines:
    """Middleware, before any that asks for the host."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a machine at once, pass everything else on."""
        view = VIEWS.get(request.path_info.removeprefix("/"))
        return view(request) if view else self.get_response(request)
