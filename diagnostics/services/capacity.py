"""How many pictures are taken in: from one microscope in a minute, and into the queue at all."""

import random
import threading
import time
from collections.abc import Callable, Hashable
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from devices.models import Device
from diagnostics.models import Analysis, AnalysisState, FieldImage, Priority
from hospital.base.problems import Overloaded, Refusal

# Seconds after which a full queue has room again. Drawn, because many are refused in one moment:
# told the same, they would all come back in one, and the queue would stand empty until then.
COME_AGAIN = (5, 30)


class TooManyUploads(Refusal):
    """One microscope sends faster than it may."""

    status = 429
    code = "too_many_uploads"


class Allowance:
    """A limit for which rows are counted seldom: what was free at the last count is given first.

    A refusal always rests on a fresh count. What is let through may be too much by what other
    processes let through since this one counted, `seconds` ago at most.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._free: dict[Hashable, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def take(self, what: Hashable, limit: int, count: Callable[[], int]) -> bool:
        """Whether one more is within `limit`; `count` tells how many there are."""
        with self._lock:
            free, until = self._free.get((what, limit), (0, 0.0))
            now = time.monotonic()
            if free <= 0 or now >= until:
                free, until = limit - count(), now + self._seconds
            self._free[what, limit] = free - 1, until
            return free > 0


_allowance = Allowance(seconds=1.0)


def ensure_capacity(device: Device, *, beside: int) -> None:
    """Let one more picture of `device` in.

    Args:
        beside: pictures of the same request that were let in already and have no rows yet.

    Raises:
        TooManyUploads: the microscope has sent UPLOADS_PER_MINUTE already.
        Overloaded: MAX_QUEUED_ANALYSES are waiting.
    """

    def sent() -> int:
        minute_ago = timezone.now() - timedelta(minutes=1)
        return FieldImage.objects.filter(device=device, received_at__gt=minute_ago).count() + beside

    def waiting() -> int:
        live = Analysis.objects.filter(state=AnalysisState.QUEUED, priority=Priority.LIVE)
        queued = live.order_by()
        return queued[: settings.MAX_QUEUED_ANALYSES].count() + beside

    if not _allowance.take(device.pk, settings.UPLOADS_PER_MINUTE, sent):
        raise TooManyUploads(
            f"More than {settings.UPLOADS_PER_MINUTE} pictures in a minute. Wait, then send again.",
            retry_after=20,
        )
    if not _allowance.take("queue", settings.MAX_QUEUED_ANALYSES, waiting):
        raise Overloaded(
            "Too many pictures are waiting for analysis. Keep this one and send it again.",
            retry_after=random.randint(*COME_AGAIN),
        )
