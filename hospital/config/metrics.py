"""What Prometheus reads: what this host's processes counted, and what the rows say.

Where several processes serve one address, PROMETHEUS_MULTIPROC_DIR names a folder in which they
all count (`manage.py stack` and `docker/` see to it).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from diagnostics import sight
from hospital.base.proxies import is_in, sender_of


class Rows:
    """What the rows say, as Prometheus's client collects it."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family for each name."""
        families: dict[str, GaugeMetricFamily] = {}
        for figure in sight.figures():
            name = f"leukolens_{figure.name}"
            if name not in families:
                families[name] = GaugeMetricFamily(name, figure.meaning, labels=list(figure.labels))
            families[name].add_metric(list(figure.labels.values()), figure.value)
        yield from families.values()


@login_not_required
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything, in Prometheus's text; to addresses in METRICS_NETWORKS only."""
    if not is_in(sender_of(request), settings.METRICS_NETWORKS):
        return HttpResponseForbidden("Name this address in METRICS_NETWORKS.\n")
    rows = CollectorRegistry()
    rows.register(Rows())
    answer = generate_latest(_processes()) + generate_latest(rows)
    return HttpResponse(answer, content_type=CONTENT_TYPE_LATEST)


def _processes() -> CollectorRegistry:
    """What this process counted, or all that count in the same folder."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return REGISTRY
    for file in Path(folder).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not Path(f"/proc/{pid}").exists():
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
    together = CollectorRegistry()
    MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
    return together
