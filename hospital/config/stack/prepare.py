"""What must be so before the processes start: the database migrated, the static files collected."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connections


def migrate() -> None:
    """Bring the database up to the code."""
    call_command("migrate", verbosity=0, interactive=False)
    # The processes have connections of their own; a parent's must not be open across a fork.
    connections.close_all()


def collect_static() -> bool:
    """Gather the static files if they differ from last time; return whether they did."""
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    wanted = _fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    stamp.write_text(wanted)
    return True


def _fingerprint() -> str:
    """Changes whenever a static file is added, removed or edited."""
    digest = hashlib.sha256(str(settings.STORAGES["staticfiles"]).encode())
    for line in sorted(_sources()):
        digest.update(line.encode())
    return digest.hexdigest()


def _sources() -> Iterator[str]:
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            yield f"{name} {status.st_size} {status.st_mtime_ns}\n"
