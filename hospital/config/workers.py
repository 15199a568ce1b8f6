"""What a Celery worker does at its start and at its end, whoever started it.

Only the worker of the analyses queue loads the model: before it takes its first task, so that no
lease runs out over it, and never in the web process or the housekeeping worker.
"""

import logging
import os
import sys
from typing import Any

from celery.signals import celeryd_after_setup, worker_ready, worker_shutting_down
from django.conf import settings
from django.db import DatabaseError
from prometheus_client import start_http_server

from hospital.config.stack.child import EX_CONFIG, announce_readiness

log = logging.getLogger(__name__)

ANALYSES = "analyses"


@celeryd_after_setup.connect
def load_model(sender: str, instance: Any, **_: Any) -> None:
    """Load the model, or refuse to start with a sentence that says why."""
    if ANALYSES not in instance.app.amqp.queues.consume_from:
        return
    # Before it has threads, which are as nice as the one that makes them.
    os.nice(settings.WORKER_NICENESS)
    from diagnostics import pipeline, readers  # noqa: PLC0415 - the model is this worker's alone

    try:
        try:
            pipeline.reader()
        except DatabaseError as error:
            # Which package is in use is a row; it is asked for again before anything is claimed.
            readers.ensure_sound()
            log.warning("the model is loaded when the database is back: %s", error)
    except Exception as error:
        log.debug("the model cannot be loaded", exc_info=True)
        log.critical("The model package cannot be used, so no picture is analysed: %s", error)
        # Not an exception: Celery would log it and carry on without a model.
        sys.exit(EX_CONFIG)


@worker_ready.connect
def announce(**_: Any) -> None:
    """Tell whoever started this worker that it takes work from now on."""
    announce_readiness()


@worker_ready.connect
def serve_metrics(**_: Any) -> None:
    """Let Prometheus ask this worker, where METRICS_PORT says so."""
    if settings.METRICS_PORT:
        start_http_server(settings.METRICS_PORT)


@worker_shutting_down.connect
def finish_batch(**_: Any) -> None:
    """Let the pipeline end after the batch in hand; what is queued stays queued."""
    if pipeline := sys.modules.get("diagnostics.pipeline"):
        pipeline.stop()
