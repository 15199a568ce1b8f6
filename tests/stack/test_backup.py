"""Promise: a hospital's backup, restored on another machine, is the hospital as it was.

By the commands that an operator types, each a process of its own: on one machine (SQLite, files in
a folder) and in a hospital (PostgreSQL, an S3 store).
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from moto.server import ThreadedMotoServer

from hospital.config.stack.ports import LOOPBACK
from tests.servers import postgresql, postgresql_client

pytestmark = pytest.mark.stack

SEED = """
import django; django.setup()
from tests.world import found
world = found()
for seed in range(4): world.receive(seed)
"""
LOOK = """
import django; django.setup()
import hashlib, json
from diagnostics.models import FieldImage
from hospital.base import files
print(json.dumps({
    str(i.pk): [i.sha256, hashlib.sha256(files.read(i.storage_key)).hexdigest()]
    for i in FieldImage.objects.all()
}))
"""


LATER = """
import django; django.setup()
from django.db import connection
with connection.cursor() as cursor:
    key = "uuid" if connection.vendor == "postgresql" else "char(32)"
    cursor.execute(f"CREATE TABLE later (of {key} REFERENCES diagnostics_fieldimage (id))")
    cursor.execute("INSERT INTO later SELECT id FROM diagnostics_fieldimage")
"""


class Machine:
    """A folder and a database: all that makes an installation."""

    def __init__(self, var: Path, database: str, **told: str) -> None:
        self.var = var
        self.environment = {
            **{k: v for k, v in os.environ.items() if k != "SECRET_KEY"},
            "LEUKOLENS_VAR": str(var),
            "DATABASE_URL": database or f"sqlite:///{var}/leukolens.sqlite3",
            "DJANGO_SETTINGS_MODULE": "hospital.config.settings",
            "PATH": f"{postgresql_client()}:{os.environ['PATH']}",
            **told,
        }

    def run(self, *command: str, good: bool = True) -> str:
        """What the command said, by either mouth."""
        done = subprocess.run(
            [sys.executable, *command],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == good, done.stdout + done.stderr
        return done.stdout if good else done.stderr

    def manage(self, *command: str, good: bool = True) -> str:
        """`manage.py` with it."""
        return self.run("manage.py", *command, good=good)

    def pictures(self) -> dict[str, Any]:
        """Of each picture the digest that was promised and that of what is there."""
        found: dict[str, Any] = json.loads(self.run("-c", LOOK))
        return found


@pytest.fixture(params=["one machine", "a hospital"])
def machines(request: Any, tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    """Two: one that works, and an empty one."""
    if request.param == "one machine":
        yield Machine(tmp_path / "one", ""), Machine(tmp_path / "other", "")
        return
    with postgresql() as url, s3("one", "other") as store:
        server = url.rpartition("/")[0]
        with psycopg.connect(url, autocommit=True) as connection:
            for name in ("one", "other"):
                connection.execute(f"CREATE DATABASE {name}")
        one, other = (
            Machine(tmp_path / name, f"{server}/{name}", S3_BUCKET=name, **store)
            for name in ("one", "other")
        )
        yield one, other


@contextmanager
def s3(*buckets: str) -> Iterator[dict[str, str]]:
    """An S3 store with these buckets; what an installation is told of it."""
    server = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "hospital", "aws_secret_access_key": "secret"}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield {
            "S3_ENDPOINT_URL": url,
            "S3_ACCESS_KEY": keys["aws_access_key_id"],
            "S3_SECRET_KEY": keys["aws_secret_access_key"],
        }
    finally:
        server.stop()


def test_a_backup_is_restored_on_another_machine_down_to_the_checksum_of_each_image(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    one, other = machines
    store, secret = tmp_path / "store", tmp_path / "passphrase"
    secret.write_text("four words of mine\n")
    one.manage("migrate", "--verbosity=0")
    one.run("-c", SEED)
    before = one.pictures()
    assert len(before) == 4
    one.manage("backup", str(store), f"--passphrase-file={secret}")

    # A flipped byte is named, and nothing is restored.
    victim = next(store.glob("objects/*/*"))
    sound = victim.read_bytes()
    victim.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
    assert victim.name in other.manage("restore", str(store), good=False)
    victim.write_bytes(sound)

    said = other.manage("restore", str(store), f"--passphrase-file={secret}")
    assert "the audit trail is whole" in said
    assert other.pictures() == before
    assert all(promised == found for promised, found in before.values())
    assert "The trail is whole." in other.manage("audit", "verify")
    assert (other.var / "secret-key").read_text() == (one.var / "secret-key").read_text()
    assert "not empty" in other.manage("restore", str(store), good=False)
    # A later version's table, which the backup does not know, goes with what it speaks of.
    other.run("-c", LATER)
    other.manage("restore", str(store), "--force")
    assert other.pictures() == before
    other.run("-c", LATER)  # there is none
    # The restored one is guarded as the first was.
    assert "append-only" in other.run(
        "-c",
        "import django; django.setup()\n"
        "from hospital.audit.models import Entry; Entry.objects.update(action='x')",
        good=False,
    )
    assert hashlib.sha256(sound).hexdigest() == victim.name
