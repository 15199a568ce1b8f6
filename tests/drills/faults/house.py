"""The hospital of the drill: every process of docker/compose.yml, started again when it dies.

All processes are started by one thread that lives as long as the drill, because each is tied to
the life of the thread that started it. Whoever breaks something only kills; the house mends.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from hospital.config.stack.child import tied_to_this_process
from hospital.config.stack.ports import LOOPBACK, free_port
from tests import servers
from tests.drills.faults import orders
from tests.drills.faults.island import Island
from tests.stack.deployment import Deployment
from tests.stack.harness import ROOT, wait_until

# Seconds between two starts of what will not stay alive.
PAUSE = 0.4
GLANCE = 0.05
SIZE_OF_STORE = "3g"
SETTINGS = "tests.drills.faults.settings"


@dataclass
class Member:
    """One process.

    Attributes:
        away_until: when it may be started again, on the monotonic clock.
        announces: the file in which it says that it is ready, if it does.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    user: int | None = None
    announces: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    away_until: float = 0.0
    starts: int = 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id, or that of the last one; 0 before the first."""
        return self.process.pid if self.process else 0

    @property
    def ready(self) -> bool:
        """Whether it runs and, where it says so, does its work."""
        if not self.alive:
            return False
        with contextlib.suppress(FileNotFoundError):
            return not self.announces or self.announces.read_text() == str(self.pid)
        return False

    def start(self) -> None:
        """Start it, tied to this thread."""
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user,
                start_new_session=True,
                preexec_fn=tied_to_this_process(),  # noqa: PLW1509
            )

    def end(self, number: int, *, away: float = 0.0, whole: bool = False) -> None:
        """Send it a signal, and let it stay away so long; `whole`: to its children as well."""
        if self.process is None or self.process.poll() is not None:
            return
        self.away_until = time.monotonic() + away
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if whole else []
        for one in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)


@dataclass
class House:
    """All of them."""

    folder: Path
    orders: orders.Orders
    island: Island
    members: dict[str, Member] = field(default_factory=dict)
    url: str = ""
    database_url: str = ""
    redis_url: str = ""
    founded: dict[str, Any] = field(default_factory=dict)
    _closing: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def workers(self) -> list[str]:
        """Names of the analyses workers; the last one lives on the island."""
        return [name for name in self.members if name.startswith("worker")]

    def named(self, kind: str) -> list[Member]:
        """Those whose name begins so."""
        return [one for name, one in self.members.items() if name.startswith(kind)]

    def name_of(self, pid: int) -> str:
        """Whose process that is, or was."""
        for name, one in self.members.items():
            if one.pid == pid:
                return name
        return "somebody"

    def add(self, member: Member) -> None:
        """Have it started."""
        self.members = {**self.members, member.name: member}

    def await_ready(self, *names: str, patience: float = 120.0) -> None:
        """Wait until these are, or all."""
        for name in names or self.members:
            one = self.members[name]
            wait_until(
                lambda one=one: one.ready, f"{name} ready:\n{_tail(one.log)}", patience=patience
            )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database, however long it is away."""

        def asked() -> list[list[tuple[Any, ...]]]:
            try:
                with psycopg.connect(self.database_url, connect_timeout=2) as connection:
                    return [connection.execute(query).fetchall()]
            except psycopg.OperationalError:
                return []

        found: list[tuple[Any, ...]] = wait_until(asked, "the database")[0]
        return found

    def open(self) -> None:
        """Look after them from now on."""
        self._thread = threading.Thread(target=self._look_after, name="house", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End them all."""
        self._closing.set()
        if self._thread:
            self._thread.join()
        for one in reversed(list(self.members.values())):
            one.end(signal.SIGCONT)
            one.end(signal.SIGKILL, whole=True)
            if one.process:
                one.process.wait()

    def _look_after(self) -> None:
        while not self._closing.wait(GLANCE):
            now = time.monotonic()
            for one in self.members.values():
                if not one.alive and now >= one.away_until:
                    one.away_until = now + PAUSE
                    one.start()


@contextmanager
def opened(
    folder: Path,
    island: Island,
    *,
    microscopes: int,
    specimens: int,
    webs: int,
    settings: dict[str, str],
) -> Iterator[House]:
    """A hospital whose every process is ready, with clinics, microscopes and staff."""
    house = House(folder, orders.Orders(folder / "orders"), island)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_databases(house))
        stack.callback(house.close)
        house.open()
        store = _store(house, stack)
        deployment = _deployment(house, store)
        told = _told(house, deployment, "migrate", "web", "migrate", settings)
        house.await_ready()
        program = ["-m", "tests.drills.faults.founding", str(microscopes), str(specimens)]
        done = subprocess.run(
            [sys.executable, *program],
            cwd=ROOT, env=told, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        house.founded = json.loads(done.stdout)
        _staff_it(house, deployment, webs, store, settings)
        house.await_ready()
        wait_until(lambda: _answers(house.url), f"the web: {_tail(folder / 'web-1.log')}")
        yield house


@contextmanager
def _databases(house: House) -> Iterator[None]:
    """PostgreSQL and Redis, their first start and their folders."""
    with servers.postgresql_server() as database, servers.redis() as broker:
        house.database_url, house.redis_url = database.url, broker.url
        command = [str(part) for part in database.command]
        told = dict(os.environ)
        log = house.folder / "database.log"
        line = list(broker.process.args) if broker.process else []  # type: ignore[arg-type]
        database.stop()
        broker.stop()
        house.add(Member("database", command, told, log, user=database.user))
        house.add(Member("broker", line, told, house.folder / "broker.log"))
        yield


def _store(house: House, stack: contextlib.ExitStack) -> tuple[str, int]:
    """The store, on a small file system of its own where that is allowed; returns its address."""
    files, port = house.folder / "store", free_port()
    files.mkdir()
    how = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_OF_STORE}", "none", str(files)]
    if os.geteuid() == 0 and subprocess.run(how, capture_output=True, check=False).returncode == 0:
        stack.callback(subprocess.run, ["umount", "-l", str(files)], check=False)
        house.orders.say("tmpfs", str(files))
    told = {**os.environ, orders.FOLDER: str(house.folder / "orders")}
    command = [sys.executable, "-m", "tests.drills.faults.store", str(files), str(port)]
    house.add(Member("store", command, told, house.folder / "store.log"))
    return LOOPBACK, port


def _deployment(house: House, store: tuple[str, int]) -> Deployment:
    """docker/compose.yml in this folder, without its proxy."""
    port, secrets = free_port(), house.folder / "secrets"
    house.url = f"http://{LOOPBACK}:{port}"
    secrets.mkdir()
    (secrets / "secret_key").write_text("k" * 30 + "only-for-this-drill" + "y" * 20)
    (secrets / "database_url").write_text(house.database_url)
    (secrets / "store_key").write_text("store-key")
    given = {
        "ALLOWED_HOSTS": LOOPBACK,
        "PUBLIC_URL": house.url,
        "STORE_KEY": "store-key",
        "STAFF_MFA_REQUIRED": "false",
        "TLS": "false",
    }
    places = {
        "/run/secrets": str(secrets),
        "redis://valkey:6379/0": house.redis_url,
        "store:7070": f"{store[0]}:{store[1]}",
        "0.0.0.0": LOOPBACK,
        "/srv/leukolens/static": str(house.folder / "static"),
    }
    return Deployment(house.folder, given, places, port, 0, 0)


def _told(
    house: House,
    deployment: Deployment,
    service: str,
    kind: str,
    name: str,
    settings: dict[str, str],
) -> dict[str, str]:
    """What a process of the product is told: the compose file's, and the drill's own."""
    own = house.folder / name
    own.mkdir(exist_ok=True)
    return {
        **deployment.environment(service),
        **settings,
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "PYTHONPATH": str(ROOT),
        "LEUKOLENS_VAR": str(own),
        "LEUKOLENS_READY_FILE": str(own / "ready"),
        "METRICS_PORT": "0",
        "PROBE_SECONDS": "0",  # whatever the drill did not send is a fault
        "FILES_BY_PROXY": "false",
        orders.FOLDER: str(house.folder / "orders"),
        orders.NAME: name,
        orders.KIND: kind,
    }


def _staff_it(
    house: House,
    deployment: Deployment,
    webs: int,
    store: tuple[str, int],
    settings: dict[str, str],
) -> None:
    """Start the product's processes: webs at one address, two workers, housekeeping, beat."""
    plan = [(f"web-{n}", "web", "web") for n in range(1, webs + 1)]
    plan += [("worker-1", "worker-cpu", "worker"), ("worker-2", "worker-cpu", "worker")]
    plan += [("housekeeping", "housekeeping", "housekeeping"), ("beat", "beat", "beat")]
    for name, service, kind in plan:
        told = _told(house, deployment, service, kind, name, settings)
        command = [word.replace("@%h", f"-{name}@%h") for word in deployment.command(service)]
        if name == "worker-2":
            told |= _by_way_of_the_island(house, store)
            celery = shutil.which(command[0], path=told["PATH"]) or command[0]
            command = [*house.island.prefix, celery, *command[1:]]
        log = house.folder / f"{name}.log"
        ready = house.folder / name / "ready" if kind != "beat" else None
        house.add(Member(name, command, told, log, announces=ready))


def _by_way_of_the_island(house: House, store: tuple[str, int]) -> dict[str, str]:
    """The servers' addresses as the worker on the island knows them."""

    def way(port: int) -> str:
        return f"{house.island.host}:{house.island.relay.line(house.island.host, (LOOPBACK, port))}"

    def port_of(url: str) -> int:
        return int(url.rpartition(":")[2].partition("/")[0])

    database, broker = port_of(house.database_url), port_of(house.redis_url)
    secret = house.folder / "secrets" / "database_url_island"
    secret.write_text(house.database_url.replace(f"{LOOPBACK}:{database}", way(database)))
    return {
        "DATABASE_URL_FILE": str(secret),
        "REDIS_URL": house.redis_url.replace(f"{LOOPBACK}:{broker}", way(broker)),
        "S3_ENDPOINT_URL": f"http://{way(store[1])}",
    }


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""
