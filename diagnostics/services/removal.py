"""Files that are to go: rows of the transaction that decides it, and the sweep until they are gone.

Whatever stops the process or the store in between, the row stays and is tried again. The same bytes
may be another patient's picture, or become it while they go: who stores a picture and who removes
one take turns by its digest (`mix_ups.take_turns`) and look at what the other has written.
"""

import logging
import re
import time
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from diagnostics.models import FieldImage, FileToRemove
from diagnostics.services import mix_ups
from hospital.base import files

log = logging.getLogger(__name__)

# What the store would not let go waits for so long, and the next ones have their turn.
AGAIN = timedelta(minutes=1)
# Longer than any request or run takes that found the file there, or writes it late.
LOOK_AGAIN = timedelta(minutes=10)
# In a round: a store that answers nobody must not keep the sweep from everything else.
MOST, SECONDS = 500, 5.0
_DIGEST = re.compile(r"/([0-9a-f]{64})\.")


def plan(keys: Collection[str]) -> None:
    """Have these go when the caller's transaction is committed; 'derived/…/' is a folder."""
    rows = [FileToRemove(key=key) for key in sorted(set(keys))]
    FileToRemove.objects.bulk_create(rows, ignore_conflicts=True)


def take_back(contents: Mapping[str, bytes]) -> None:
    """Keep what is stored now, under its digest's lock, though it was to go, or has just gone.

    Raises:
        OSError: it could not be stored again; nothing is to be written about it.
    """
    planned = FileToRemove.objects.filter(key__in=contents)
    for row in planned:
        files.put(row.key, contents[row.key])
    planned.delete()


def sweep() -> dict[str, int]:
    """Remove what is due, for some seconds. Safe beside another; one bad key stops no other."""
    until = time.monotonic() + SECONDS
    due = FileToRemove.objects.filter(due_at__lte=timezone.now()).order_by("due_at")
    removed = 0
    for key in list(due.values_list("key", flat=True)[:MOST]):
        removed += _tried(key)
        if time.monotonic() > until:
            break
    return {"files_removed": removed}


def overdue(since: datetime) -> int:
    """How many files have been to go since before `since` and are still there."""
    return FileToRemove.objects.filter(gone_at=None, since__lt=since).count()


def _tried(key: str) -> bool:
    try:
        return _remove(key)
    except OSError as error:
        log.error("a file that is to go could not be removed: %s", error)
        FileToRemove.objects.filter(key=key).update(due_at=timezone.now() + AGAIN)
        return False


@transaction.atomic
def _remove(key: str) -> bool:
    """Whether it went now, for the first time."""
    digest = _DIGEST.search(key)
    if digest:
        mix_ups.take_turns({digest[1]})
    # Another sweep may have been here, or somebody has sent the same picture.
    row = FileToRemove.objects.filter(key=key).first()
    if row is None:
        return False
    if digest and _in_use(digest[1]):
        row.delete()
        return False
    if key.endswith("/"):
        files.remove_folder(key.rstrip("/"))
    else:
        files.remove(key)
    if row.gone_at:
        row.delete()
        return False
    row.gone_at = timezone.now()
    row.due_at = row.gone_at + LOOK_AGAIN
    row.save(update_fields=["gone_at", "due_at"])
    return True


def _in_use(sha256: str) -> bool:
    """Whether it is a picture of somebody who is not erased, or of a control slide."""
    same = FieldImage.objects.filter(sha256=sha256)
    return same.filter(specimen__patient__erased_at__isnull=True).exists()
