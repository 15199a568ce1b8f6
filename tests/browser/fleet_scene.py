"""A dozen microscopes with a past, for screenshots of the fleet."""

import random
import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from devices.models import Alert, AlertKind, Device, DeviceState, Heartbeat
from devices.services.alerts import clear_alert, raise_alert
from devices.services.keys import issue_key
from devices.services.registry import change_state, register_device
from diagnostics.models import Analysis, FieldImage, ImageState, Outcome
from diagnostics.services.fleet import watch_drift
from tests.world import SETUP, World

PLACES = {
    "Haematology, bench 1": ["Bench 1 left", "Bench 1 right"],
    "Haematology, bench 2": ["Bench 2"],
    "Day clinic, room 014": ["Night desk", "Smear corner", "Teaching head"],
    "": ["Spare"],
}
HEALTHY = {
    "firmware": "1.4.2",
    "uptime_seconds": 11 * 86_400,
    "queue_length": 0,
    "free_bytes": 21_400_000_000,
    "wifi_dbm": -58,
    "revision": 1,
}


class FleetScene:
    """Microscopes in every standing; `worn` is the one with a worn lamp."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = random.Random(7)
        self.worn = world.device
        Device.objects.filter(pk=self.worn.pk).update(
            name="Bench 3", place="Haematology, bench 3", firmware="1.4.2"
        )
        self.worn.refresh_from_db()
        self.month(self.worn)
        self.heard(self.worn)
        scopes = {
            name: self.registered(name, place) for place, own in PLACES.items() for name in own
        }
        for name in ("Bench 1 left", "Bench 1 right", "Bench 2", "Teaching head"):
            self.heard(scopes[name])
            self.pictures(scopes[name], 24)
        self.backlog(scopes["Bench 2"])
        self.heard(scopes["Night desk"], ago=timedelta(hours=3))
        raise_alert(
            device=scopes["Night desk"],
            kind=AlertKind.SILENT,
            detail="Nothing for 3 hours.",
        )
        change_state(actor=SETUP, device=scopes["Teaching head"], to=DeviceState.SUSPENDED)
        self.heard(world.other_device)
        watch_drift()

    def registered(self, name: str, place: str) -> Device:
        """One more microscope, keyed."""
        device = register_device(
            actor=SETUP,
            clinic=self.world.clinic,
            name=name,
            make="Optika",
            model="B-510 WiFi",
            serial=f"OP-{name}",
        )
        Device.objects.filter(pk=device.pk).update(place=place, firmware="1.4.2")
        issue_key(actor=SETUP, device=device)
        device.refresh_from_db()
        return device

    def heard(self, device: Device, ago: timedelta = timedelta(seconds=20), **said: Any) -> None:
        """It said something a moment ago."""
        Device.objects.filter(pk=device.pk).update(
            last_heartbeat_at=timezone.now() - ago, last_heartbeat=HEALTHY | said
        )

    def backlog(self, device: Device) -> None:
        """Its pictures pile up."""
        self.heard(device, queue_length=38, oldest_unsent_seconds=2700, last_error="timed out")
        detail = "The oldest of 38 pictures has waited for 45 minutes."
        raise_alert(device=device, kind=AlertKind.BACKLOG, detail=detail)
        raise_alert(device=device, kind=AlertKind.CLOCK, detail="Its clock is 4 minutes behind.")

    def month(self, device: Device) -> None:
        """Forty days of pictures and heartbeats; the lamp fades at the end, the queue grew once."""
        for day in range(40):
            if day % 7 in {5, 6} and day > 8:
                continue
            ago = timedelta(days=day)
            lamp = 196 + 6 * day if day < 3 else 238 + self.random.uniform(-3, 3)
            figures = {
                "focus": 1.8 + self.random.uniform(-0.06, 0.06),
                "stain": 0.031 + self.random.uniform(-0.003, 0.003),
                "brightness": lamp,
            }
            self.pictures(device, 10 + self.random.randrange(12), ago, **figures)
            if lamp < 220:
                self.pictures(device, 4, ago, rejection="too_dark", **figures)
            if self.random.random() < 0.5:
                self.pictures(device, 2, ago, rejection="out_of_focus", **figures)
            self.beats(device, ago, queue=60 if day == 9 else self.random.randrange(4))
        raise_alert(device=device, kind=AlertKind.BACKLOG, detail="60 pictures waited for 2 hours.")
        clear_alert(device=device, kind=AlertKind.BACKLOG)
        nine = timezone.now() - timedelta(days=9)
        Alert.objects.filter(device=device).update(
            raised_at=nine, cleared_at=nine + timedelta(minutes=50)
        )

    def beats(self, device: Device, ago: timedelta, *, queue: int) -> None:
        """One day's heartbeats, a few."""
        Heartbeat.objects.bulk_create(
            Heartbeat(
                device=device,
                received_at=timezone.now() - ago,
                queue_length=queue if number == 2 else 0,
                oldest_unsent_seconds=queue * 90 if number == 2 else 0,
                clock_offset_seconds=self.random.uniform(-1.5, 1.5),
                free_bytes=30_000_000_000 - (40 - ago.days) * 400_000_000,
                wifi_dbm=-58 - self.random.randrange(8),
            )
            for number in range(4)
        )

    def pictures(
        self,
        device: Device,
        count: int,
        ago: timedelta = timedelta(0),
        *,
        rejection: str = "",
        **metrics: float,
    ) -> None:
        """Judged pictures, as rows only."""
        state = ImageState.REJECTED if rejection else ImageState.ACCEPTED
        images = FieldImage.objects.bulk_create(
            FieldImage(
                id=uuid.uuid4(),
                specimen=self.world.specimen,
                device=device,
                sha256="0" * 64,
                storage_key="nowhere",
                media_type="image/jpeg",
                size=1,
                width=64,
                height=64,
                received_at=timezone.now() - ago,
                state=state,
                rejection=rejection,
            )
            for _ in range(count)
        )
        Analysis.objects.bulk_create(
            Analysis(
                image=image,
                state="succeeded",
                outcome=Outcome.UNUSABLE if rejection else Outcome.CLASSIFIED,
                quality={"metrics": metrics},
            )
            for image in images
        )
