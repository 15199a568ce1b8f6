"""The database into one file and back: SQLite by its own backup, PostgreSQL by its own programs."""

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryFile

from django.db import connection

from hospital.config.backup.manifest import BackupError

DUMPS = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}


def dump(folder: Path) -> Path:
    """A consistent copy of the database as of one moment, others writing meanwhile; its file.

    Raises:
        BackupError: pg_dump is missing, older than the server, or failed.
    """
    target = folder / DUMPS[connection.vendor]
    if connection.vendor == "sqlite":
        _dump_sqlite(target)
    else:
        program = _program("pg_dump")
        _ensure_not_older(program)
        _run([program, "--format=custom", "--no-owner", "--no-privileges", f"--file={target}"])
    return target


def load(folder: Path, *, replace: bool) -> None:
    """Put a dump into the database, all of it or nothing.

    Args:
        replace: what is there is dropped, also what the dump does not know.

    Raises:
        BackupError: it failed; the database is as it was.
    """
    source = folder / DUMPS[connection.vendor]
    if connection.vendor == "sqlite":
        _load_sqlite(source)
        return
    restore = [_program("pg_restore"), "--no-owner", "--no-privileges"]
    connection.close()
    if replace:
        _replace([*restore, "--file=-", str(source)])
        return
    how = ["--exit-on-error", "--single-transaction", f"--dbname={_name()}"]
    _run([*restore, *how, str(source)])


def is_empty() -> bool:
    """Whether the database has no tables yet."""
    return not connection.introspection.table_names()


def _dump_sqlite(target: Path) -> None:
    connection.ensure_connection()
    with closing(sqlite3.connect(target)) as copy:
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        (said,) = copy.execute("PRAGMA integrity_check").fetchone()
    if said != "ok":
        raise BackupError(f"The database itself is damaged: {said}")
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _load_sqlite(source: Path) -> None:
    connection.ensure_connection()
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as copy:
        copy.backup(connection.connection)
    connection.close()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackupError(f"{name} is not in PATH: install PostgreSQL's client programs.")
    return found


def _ensure_not_older(program: str) -> None:
    """pg_dump reads servers of its own version and of older ones."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    number = re.search(r"(\d+)", said.stdout)
    client = int(number[1]) if number else 0
    connection.ensure_connection()
    server = connection.connection.info.server_version // 10_000
    if client < server:
        raise BackupError(
            f"{program} is of version {client}, the server of {server}: "
            f"put the client programs of {server} or newer into PATH."
        )


def _name() -> str:
    return str(connection.settings_dict["NAME"])


def _replace(script: list[str]) -> None:
    """Empty the schema and run what the command `script` writes, in one transaction.

    pg_restore itself drops only what the dump knows: a table that came later would stay, and what
    it refers to could not be dropped.
    """
    into = [_program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"]
    with (
        TemporaryFile("w+") as said,
        Popen(script, env=_environment(), stdout=PIPE, stderr=said) as source,
        Popen(into, env=_environment(), stdin=PIPE, stdout=DEVNULL, stderr=said) as target,
    ):
        assert source.stdout is not None
        assert target.stdin is not None
        with suppress(BrokenPipeError):  # psql has said why
            target.stdin.write(b"BEGIN; DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n")
            shutil.copyfileobj(source.stdout, target.stdin)
            # Without it, as when this process is killed, nothing has happened.
            if source.wait() == 0:
                target.stdin.write(b"\nCOMMIT;\n")
        source.stdout.close()
        source.wait()
        with suppress(BrokenPipeError):
            target.stdin.close()
        if target.wait() or source.returncode:
            said.seek(0)
            raise BackupError(f"The database was not replaced: {said.read().strip()[-500:]}")


def _run(command: list[str]) -> None:
    """Run one of PostgreSQL's programs."""
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")


def _environment() -> dict[str, str]:
    """Where the database is: the password goes by the environment, not the command."""
    told = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    given = {name: str(told[key]) for name, key in names.items() if told.get(key)}
    return {**os.environ, **given, "PGDATABASE": _name()}
