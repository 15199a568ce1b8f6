"""Celery: the engine that carries images from intake to report.

The broker's message is a nudge; the Analysis row is the truth. So results are not kept, tasks are
acknowledged late, and losing every message costs one sweep.
"""

import os

from celery import Celery
from celery.signals import setup_logging

from hospital.config import workers  # noqa: F401 - connects what a worker does at start and end
from hospital.config.standstill import Standstill

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hospital.config.settings")

app = Celery("leukolens")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["consumer"].add(Standstill)
# Requests are served in threads of their own; without this they would see Celery's default app.
app.set_default()


@setup_logging.connect
def keep_djangos_logging(**_: object) -> None:
    """Leave logging as the settings have it; Celery would replace it."""
