"""The processes of the product, each as the command line an administrator would type."""

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from django.conf import settings

from hospital.config.stack.broker import Broker
from hospital.config.stack.child import Child
from hospital.config.stack.ports import LOOPBACK

HTTP_SERVER_ERROR = 500
CELERY = [sys.executable, "-m", "celery", "-A", "hospital.config"]
# A line for every sweep would be seventeen thousand a day.
QUIET = {"LOG_LEVEL": "WARNING"}
# The C library keeps a picture's freed memory for the next one instead of handing it back to the
# kernel and fetching it again, page by page: a seventh of preparing a picture.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
# Each worker is alone in its queue here; the extras are for fleets and cost seconds at the start.
LONER = ["--without-gossip", "--without-mingle", "--without-heartbeat"]


def broker(server: Broker, environment: Mapping[str, str], logs: Path) -> Child:
    """The embedded broker."""
    return Child(
        "broker",
        server.command(),
        environment,
        logs / "broker.log",
        ready=lambda child: server.answers(),
        stop_order=2,
    )


def web(
    port: int,
    environment: Mapping[str, str],
    logs: Path,
    run: Path,
    *,
    host: str = LOOPBACK,
    number: int = 1,
) -> Child:
    """HTTP and websockets; `number` tells those apart that serve one address together."""
    name = "web" if number == 1 else f"web-{number}"
    command = [sys.executable, "-m", "hospital.config.serve", "--host", host, "--port", str(port)]
    announcement = run / f"{name}.ready"
    return Child(
        name,
        command,
        {**environment, "LEUKOLENS_READY_FILE": str(announcement)},
        logs / f"{name}.log",
        # By its own word, too: the address alone would answer for another that serves it.
        ready=lambda child: _announced(announcement, child.pid) and _serves(port),
    )


def worker(queue: str, environment: Mapping[str, str], logs: Path, run: Path) -> Child:
    """A Celery worker for one queue. Solo: TensorFlow hangs in a forked process."""
    announcement = run / f"{queue}.ready"
    command = [*CELERY, "worker", "--pool", "solo", "--queues", queue, *LONER]
    command += ["--hostname", f"{queue}@%h"]
    told = {"LEUKOLENS_READY_FILE": str(announcement), "TF_CPP_MIN_LOG_LEVEL": "2", **KEEP_MEMORY}
    return Child(
        queue,
        command,
        {**environment, **(QUIET if queue == "housekeeping" else {}), **told},
        logs / f"{queue}.log",
        ready=lambda child: _announced(announcement, child.pid),
        # The batch in hand is finished first.
        patience=60.0,
    )


def beat(environment: Mapping[str, str], logs: Path) -> Child:
    """The clock that starts the sweeps."""
    command = [*CELERY, "beat", "--pidfile", ""]
    return Child("beat", command, {**environment, **QUIET}, logs / "beat.log", stop_order=-1)


def dicom(environment: Mapping[str, str], logs: Path, run: Path) -> Child:
    """The door for microscopes that speak DIMSE, at DICOM_BIND and DICOM_PORT."""
    announcement = run / "dicom.ready"
    return Child(
        "dicom",
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "dicom"],
        {**environment, "LEUKOLENS_READY_FILE": str(announcement)},
        logs / "dicom.log",
        ready=lambda child: _announced(announcement, child.pid),
    )


def counts(var: Path) -> Path:
    """Where every process of the stack counts, for `hospital.config.metrics`."""
    return var.resolve() / "run" / "counts"


def environment(var: Path, *, redis_url: str) -> dict[str, str]:
    """What every process of the stack is told."""
    counts(var).mkdir(parents=True, exist_ok=True)
    return {
        **os.environ,
        "PROMETHEUS_MULTIPROC_DIR": str(counts(var)),
        "LEUKOLENS_VAR": str(var.resolve()),
        "REDIS_URL": redis_url,
        "CELERY_BROKER_URL": os.environ.get("CELERY_BROKER_URL", redis_url),
        "PYTHONUNBUFFERED": "1",
    }


def _serves(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/login/")
        return connection.getresponse().status < HTTP_SERVER_ERROR
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _announced(path: Path, pid: int | None) -> bool:
    """Whether this very process, not an earlier one, has announced itself."""
    try:
        return path.read_text() == str(pid)
    except FileNotFoundError:
        return False
