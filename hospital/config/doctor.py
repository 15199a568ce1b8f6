"""Looks over an installation, the way a colleague would who was called at night.

Each check is one question, answered with what was found and, where it is not well, what to do.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.core.files.storage import default_storage
from django.core.mail import get_connection
from django.db import connection
from django.utils import timezone

from diagnostics import sight
from diagnostics.services import packages
from hospital.base.models import Chore, LastRun
from hospital.config import health
from hospital.config.celery import app

MIB = 1 << 20
LEAST_FREE = 5 << 30
CLOCK_SECONDS = 2.0
WORKER_SECONDS = 3.0
QUEUE_SECONDS = 120.0
HOUR = 3600.0


class Grade(StrEnum):
    """How it stands."""

    WELL = "well"
    MIND = "mind"
    ILL = "ill"


@dataclass(frozen=True)
class Finding:
    """What one look found; `remedy` says what to do, '' when nothing."""

    subject: str
    grade: Grade
    found: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which one would look. A check that breaks is a finding too."""
    for check in CHECKS:
        subject = check.__name__.replace("_", " ")
        try:
            yield from (Finding(subject, grade, found, remedy) for grade, found, remedy in check())
        except Exception as error:
            yield Finding(subject, Grade.ILL, f"{type(error).__name__}: {error}", REMEDIES[check])


Answer = Iterator[tuple[Grade, str, str]]


def versions() -> Answer:
    """The interpreter and the packages that matter."""
    names = ("django", "celery", "channels", "openvino", "tensorflow", "opencv-python-headless")
    python = ".".join(map(str, sys.version_info[:3]))
    said = f"python {python}, " + ", ".join(f"{name} {version(name)}" for name in names)
    if sys.version_info[:2] == (3, 11):
        yield Grade.WELL, said, ""
    else:
        yield Grade.ILL, said, "Leukolens is made for Python 3.11; install that."


def database() -> Answer:
    """It answers, is as new as the code, and its clock agrees with ours."""
    health.database()
    yield Grade.WELL, f"{connection.vendor} answers; every migration is applied", ""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            apart = abs(float(cursor.fetchone()[0]) - time.time())
        said = f"its clock is {apart:.1f} s from this machine's"
        if apart > CLOCK_SECONDS:
            yield Grade.ILL, said, "Let both follow the same time server (chrony, timesyncd)."
        else:
            yield Grade.WELL, said, ""
    else:
        yield (
            Grade.MIND,
            "SQLite: good for one machine and for trying it out",
            "A hospital gives DATABASE_URL=postgres://…",
        )


def files() -> Answer:
    """A file can be stored and read back, and the disk has room."""
    health.files()
    if bucket := getattr(default_storage, "bucket_name", ""):
        yield Grade.WELL, f"the store takes and gives files (bucket {bucket})", ""
        return
    free = shutil.disk_usage(settings.VAR_DIR).free
    said = f"the folder takes and gives files; {free // MIB} MiB free"
    if free < LEAST_FREE:
        yield Grade.ILL, said, "Make room, or microscopes get 503 and keep their pictures."
    else:
        yield Grade.WELL, said, ""


def broker() -> Answer:
    """It takes messages."""
    health.broker()
    yield Grade.WELL, "it takes messages", ""


def workers() -> Answer:
    """One for each queue answers, and no picture waits long."""
    queues = app.control.inspect(timeout=WORKER_SECONDS).active_queues() or {}
    served = {queue["name"] for answer in queues.values() for queue in answer}
    # A worker in the middle of a long batch answers late: the rows say whether it works.
    for queue in ("analyses", "housekeeping"):
        count = sum(queue in {q["name"] for q in answer} for answer in queues.values())
        if queue in served:
            yield Grade.WELL, f"{count} for {queue}", ""
        else:
            yield (
                Grade.ILL,
                f"none for {queue} answered within {WORKER_SECONDS:.0f} s",
                f"Start one: celery -A hospital.config worker --pool solo --queues {queue}. "
                "A busy one may answer late: look again.",
            )
    waited = sight.queue_age()
    said = f"the oldest picture that waits does so for {waited:.0f} s"
    if waited > QUEUE_SECONDS:
        yield Grade.ILL, said, "Start more analyses workers, or look into the log of the one."
    else:
        yield Grade.WELL, said, ""


def model() -> Answer:
    """The package in use is the one it was made as, to the byte."""
    package = packages.verified()
    yield Grade.WELL, f"{package.name} {package.version}, digest {package.digest[:12]}…", ""


def border() -> Answer:
    """What Django's own check for an installation says, and that keys do not go in the clear."""
    if not settings.SESSION_COOKIE_SECURE:
        yield (
            Grade.MIND,
            "TLS is not set: cookies and microscopes' keys go in the clear",
            "Put a TLS proxy in front and give TLS=true.",
        )
    else:
        yield Grade.WELL, "cookies only over TLS, HSTS on", ""
    if not settings.STAFF_MFA_REQUIRED:
        yield (
            Grade.MIND,
            "staff may sign in with a password alone",
            "Give STAFF_MFA_REQUIRED=true.",
        )
    for warning in checks.run_checks(include_deployment_checks=settings.SESSION_COOKIE_SECURE):
        grade = Grade.ILL if warning.level >= checks.ERROR else Grade.MIND
        yield grade, f"{warning.id}: {warning.msg}", warning.hint or "See Django's documentation."
    if settings.DEBUG:
        yield Grade.ILL, "DEBUG is on: errors show people's data", "Give DEBUG=false."


def static_files() -> Answer:
    """They are collected."""
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    if manifest.exists():
        yield Grade.WELL, "collected", ""
    else:
        yield Grade.ILL, "not collected: pages come without style", "manage.py collectstatic"


def mail() -> Answer:
    """There is a server, and it answers."""
    if "dummy" in settings.EMAIL_BACKEND:
        yield Grade.MIND, "none is sent", "Give EMAIL_URL, so that staff and families are told."
        return
    wire = get_connection()
    wire.open()
    wire.close()
    yield Grade.WELL, "the server answers", ""


def chores() -> Answer:
    """What runs by itself has run lately, and went well."""
    runs = {run.chore: run for run in LastRun.objects.all()}
    late = {
        Chore.PROBE: 3 * settings.PROBE_SECONDS / HOUR if settings.PROBE_URL else 0.0,
        Chore.BACKUP: settings.BACKUP_HOURS,
        Chore.RETENTION: 26.0 if settings.RETENTION_NIGHTLY != "off" else 0.0,
    }
    for chore, hours in late.items():
        run = runs.get(chore)
        if run is None:
            yield Grade.MIND, f"{chore.label}: never", NEVER[chore]
        elif run.trouble:
            yield Grade.ILL, f"{chore.label}, {_ago(run.ended_at)}: {run.trouble}", LOOK[chore]
        elif hours and _hours(run.ended_at) > hours:
            yield Grade.ILL, f"{chore.label}: last {_ago(run.ended_at)}", LOOK[chore]
        else:
            said = f"{chore.label}: {_ago(run.ended_at)}, in {run.seconds:.0f} s{_due(run)}"
            yield Grade.WELL, said, ""


NEVER = {
    Chore.PROBE: "Give PROBE_URL, or run manage.py probe --url http://… once.",
    Chore.BACKUP: "Run manage.py backup /another/disk every night: docs/backup.md.",
    Chore.RETENTION: "It comes at 2:30 at night, by beat; manage.py retention --dry-run says now.",
}
LOOK = {
    Chore.PROBE: "manage.py probe tries it now and says how far it comes.",
    Chore.BACKUP: "Run manage.py backup now, and look why the night's did not.",
    Chore.RETENTION: "manage.py retention --dry-run; look whether beat and housekeeping run.",
}


def _due(run: LastRun) -> str:
    """What retention found, by kind; '' for the others, and where there are no rules."""
    verb = "gone" if run.told.get("applied") else "due"
    counts = run.told.get("counts", {}).items()
    return "".join(f", {count} {kind} {verb}" for kind, count in counts)


def _hours(moment: datetime) -> float:
    return (timezone.now() - moment).total_seconds() / HOUR


def _ago(moment: datetime) -> str:
    hours = _hours(moment)
    return f"{hours:.0f} h ago" if hours >= 2 else f"{60 * hours:.0f} min ago"


def clock() -> Answer:
    """It is not off by years, as that of a machine without a battery."""
    today = timezone.now()
    built = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    if today < built - timedelta(days=1):
        yield Grade.ILL, f"it says {today:%Y-%m-%d %H:%M}", "Set it: it is older than the code."
    else:
        yield Grade.WELL, f"it says {today:%Y-%m-%d %H:%M %Z}", ""


REMEDIES: dict[Callable[[], Answer], str] = {
    versions: "Install what requirements.lock names: make runtime, or build the image anew.",
    clock: "Set the machine's clock.",
    database: "Look whether it runs and whether DATABASE_URL is right; then manage.py migrate.",
    files: "Look whether the disk or the store is there, writable and not full.",
    broker: "Start Redis or Valkey, or mend REDIS_URL. Pictures are safe meanwhile and wait.",
    workers: "Start the broker first, then the workers.",
    model: "Fetch the package anew, or roll back on the dashboard; workers refuse this one.",
    border: "Mend the settings named.",
    static_files: "manage.py collectstatic",
    chores: "Look at beat and the housekeeping worker.",
    mail: "Look whether EMAIL_URL is right and its server answers.",
}
CHECKS = list(REMEDIES)
