"""A stack of its own to be measured, with a demonstration hospital in it; thrown away afterwards.

`embedded`: SQLite and the embedded broker, as `make stack` starts them. `hospital`: PostgreSQL with
fsync on, and Redis. Both on this machine, side by side with whoever measures.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

from bench import machine

BORN = date(2019, 4, 2)
CONFIGURATIONS = ("embedded", "hospital")
# Of a real installation: not touched.
FOREIGN = (
    "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "S3_BUCKET", "MODEL_PACKAGE", "MODEL_ENGINE"
)  # fmt: skip
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "hospital.config.settings",
    # Ticks off: only what is pushed is measured.
    "LIVE_TICK_SECONDS": "3600",
    "UPLOADS_PER_MINUTE": "1000000",
    "MAX_QUEUED_ANALYSES": "1000000",
}


@dataclass
class Stack:
    """What runs, and who works in it."""

    url: str
    pids: dict[str, int]
    hospital: Any
    numbers: Iterator[int] = field(default_factory=count)

    def specimens(self, number: int) -> list[str]:
        """So many accession numbers, registered just now, each of another patient's sample."""
        from django.db import transaction  # noqa: PLC0415
        from django.utils import timezone  # noqa: PLC0415

        from hospital.config.demo.hospital import accession, new_specimen  # noqa: PLC0415

        bench = self.hospital.benches[0]
        labels = [accession(bench, timezone.now(), next(self.numbers)) for _ in range(number)]
        with transaction.atomic():
            for label in labels:
                new_specimen(self._patient(label), label)
        return labels

    def _patient(self, mrn: str) -> Any:
        from hospital.config.demo.hospital import DEMO  # noqa: PLC0415
        from patients.services import register_patient  # noqa: PLC0415

        return register_patient(
            actor=DEMO,
            clinic=self.hospital.benches[0].clinic,
            mrn=mrn,
            family_name="Bench",
            given_names=mrn,
            birth_date=BORN,
            sex="unknown",
        )

    @property
    def key(self) -> str:
        """Of the clinic's microscope."""
        return str(self.hospital.benches[0].key)

    def cpu(self) -> dict[str, float]:
        """Processor seconds of each kind of process until now: the web may be several."""
        spent: dict[str, float] = {}
        for name, pid in self.pids.items():
            kind = name.partition("-")[0]
            spent[kind] = spent.get(kind, 0.0) + machine.cpu_seconds(pid)
        return spent

    def memory(self) -> dict[str, dict[str, float]]:
        """MiB of one web process and of the analyses worker."""
        return {name: machine.memory(self.pids[name]) for name in ("web", "analyses")}


@contextmanager
def running(configuration: str, report: Callable[[str], None]) -> Iterator[Stack]:
    """A ready stack of that configuration. Once in the life of a process: Django's settings."""
    with tempfile.TemporaryDirectory(prefix="leukolens-bench-") as folder, ExitStack() as servers:
        for name in FOREIGN:
            os.environ.pop(name, None)
        os.environ |= {**SETTINGS, "LEUKOLENS_VAR": folder}
        apart: dict[str, int] = {}
        if configuration == "hospital":
            from tests.servers import postgresql, redis  # noqa: PLC0415 - wheels of the tests

            os.environ["DATABASE_URL"] = servers.enter_context(postgresql(durable=True))
            broker = servers.enter_context(redis())
            os.environ["REDIS_URL"] = broker.url
            assert broker.process is not None
            apart["broker"] = broker.process.pid
        import django  # noqa: PLC0415 - the settings read the environment

        django.setup()
        with _started(Path(folder), report) as stack:
            stack.pids |= apart
            yield stack


@contextmanager
def _started(var: Path, report: Callable[[str], None]) -> Iterator[Stack]:
    from hospital.config.demo.embedded import embedded_stack  # noqa: PLC0415
    from hospital.config.demo.hospital import found_or_find  # noqa: PLC0415
    from hospital.config.demo.logins import Logins  # noqa: PLC0415
    from hospital.config.stack.record import read_note  # noqa: PLC0415

    with embedded_stack(var, say=report) as running_:
        running_.await_web()
        hospital = found_or_find(Logins(var))
        if not running_.await_model():
            raise RuntimeError("the analyses worker did not become ready; see above")
        note = read_note(var)
        assert note is not None
        pids = {name: process["pid"] for name, process in note["processes"].items()}
        yield Stack(running_.url, pids | _database(), hospital)


def _database() -> dict[str, int]:
    """The database server's first process; {} for SQLite, which lives in web and worker."""
    from django.db import connection  # noqa: PLC0415

    if connection.vendor != "postgresql":
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return {"database": machine.parent(cursor.fetchone()[0])}
