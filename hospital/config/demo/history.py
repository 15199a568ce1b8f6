"""A month that the demonstration's microscopes are said to have had, so that charts show something.

Only what they said of themselves, and an alert that is long over: pictures are never invented here.
"""

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from devices.models import Alert, AlertKind, Device, Heartbeat

DAYS = 29
BAD_EVENING = 9  # days ago, when the WiFi was away for two hours
MARK = "Demonstration"


@transaction.atomic
def give_a_past(device: Device) -> None:
    """Hourly heartbeats of the last month and one alert, marked as made up; only once."""
    if Heartbeat.objects.filter(device=device).exists():
        return
    chance, now = random.Random(device.serial), timezone.now()
    first = now - timedelta(days=DAYS)
    hours = [first + timedelta(hours=hour) for hour in range(24 * DAYS)]
    Heartbeat.objects.bulk_create(_heartbeat(device, at, now, chance) for at in hours)
    raised = (now - timedelta(days=BAD_EVENING)).replace(hour=19, minute=20, second=0)
    Alert.objects.create(
        device=device,
        kind=AlertKind.BACKLOG,
        raised_at=raised,
        cleared_at=raised + timedelta(hours=1, minutes=45),
        mailed_at=raised,
        detail=f"{MARK}: the oldest of 64 pictures had waited for 2 hours.",
    )


def _heartbeat(device: Device, at: datetime, now: datetime, chance: random.Random) -> Heartbeat:
    days_ago = (now - at).days
    away = days_ago == BAD_EVENING and at.hour in {19, 20}
    waiting = 64 if away else chance.choice([0, 0, 0, 1, 2])
    return Heartbeat(
        device=device,
        received_at=at,
        firmware=MARK.lower(),
        uptime_seconds=int((at - (now - timedelta(days=DAYS + 3))).total_seconds()),
        queue_length=waiting,
        oldest_unsent_seconds=7200 if away else 20 * waiting,
        refused=0,
        clock_offset_seconds=chance.gauss(0.2, 0.3),
        free_bytes=64_000_000_000 - chance.randrange(400_000_000),
        wifi_dbm=-79 if away else -58 - chance.randrange(6),
    )
