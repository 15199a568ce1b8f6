"""One stack of each kind for all tests: the embedded default, and a hospital's."""

import contextlib
import socket

import pytest

from hospital.config.stack.ports import LOOPBACK
from tests import servers
from tests.stack.harness import running_stack

USUAL_PORTS = (5432, 6379, 8000)


@pytest.fixture(scope="session")
def usual_ports_taken():
    """Somebody else has the ports of PostgreSQL, Redis and Django."""
    with contextlib.ExitStack() as sockets:
        for port in USUAL_PORTS:
            taken = sockets.enter_context(socket.socket())
            # Else a connection that is still fading away would look like somebody else.
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # OSError: somebody else really has it, which serves as well.
            with contextlib.suppress(OSError):
                taken.bind((LOOPBACK, port))
                taken.listen()
        yield


@pytest.fixture(scope="session")
def embedded(usual_ports_taken, tmp_path_factory):
    """The embedded default: its own broker, SQLite; in a folder with a space in its name."""
    with running_stack(tmp_path_factory.mktemp("stack") / "my hospital") as stack:
        yield stack


@pytest.fixture(scope="session")
def hospital_redis():
    """A Redis server that runs by itself, as in a hospital."""
    with servers.redis() as server:
        yield server


@pytest.fixture(scope="session")
def hospital(hospital_redis, tmp_path_factory):
    """PostgreSQL and Redis given by the environment, and nothing else changed."""
    with (
        servers.postgresql() as database,
        running_stack(
            tmp_path_factory.mktemp("hospital") / "var",
            DATABASE_URL=database,
            REDIS_URL=hospital_redis.url,
        ) as stack,
    ):
        yield stack
