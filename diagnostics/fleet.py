"""The fleet at a glance: how every microscope is, in a number of queries that does not grow."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, OuterRef, QuerySet, Subquery, When
from django.utils import timezone

from devices.models import Alert, AlertKind, Device, DeviceState
from devices.selectors import alerts_visible_to, devices_visible_to
from diagnostics.models import FieldImage, ImageState

REJECTIONS_OF = timedelta(hours=24)


@dataclass(frozen=True)
class Standing:
    """How a microscope is, in a word that goes with an icon and a tone."""

    code: str
    word: str
    icon: str
    tone: str


STANDINGS = {
    "fine": Standing("fine", "Fine", "check", "benign"),
    "attention": Standing("attention", "Needs attention", "attention", "uncertain"),
    "silent": Standing("silent", "Silent", "silent", "malignant"),
    "new": Standing("new", "Not heard yet", "clock", "none"),
    "pending": Standing("pending", "Pending", "clock", "none"),
    "suspended": Standing("suspended", "Suspended", "pause", "none"),
    "retired": Standing("retired", "Retired", "cross", "none"),
}


@dataclass(frozen=True)
class Scope:
    """A microscope as its tile shows it. `reasons` counts today's rejections by code."""

    device: Device
    last_picture: datetime | None
    alerts: Sequence[Alert] = ()
    judged: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def standing(self) -> Standing:
        """How it is, what matters most first."""
        if self.device.state != DeviceState.ACTIVE:
            return STANDINGS[self.device.state]
        if any(alert.kind == AlertKind.SILENT for alert in self.alerts):
            return STANDINGS["silent"]
        if self.alerts:
            return STANDINGS["attention"]
        heard = self.device.last_heartbeat_at or self.last_picture
        return STANDINGS["fine" if heard else "new"]

    @property
    def is_simulated(self) -> bool:
        """Whether it is a program: what it says of itself is made up."""
        return self.device.make.casefold() == "simulated"

    @property
    def said(self) -> dict[str, Any]:
        """Its last heartbeat."""
        said: dict[str, Any] = self.device.last_heartbeat
        return said

    @property
    def rejected(self) -> int:
        """How many pictures were turned away, of those judged in the last 24 hours."""
        return self.reasons.total()


def scopes_of(user: Any) -> list[Scope]:
    """Every microscope that `user` may see and that is not retired.

    By clinic, place and name; those whose place nobody has said come last.
    """
    rows = devices_visible_to(user).exclude(state=DeviceState.RETIRED)
    nowhere = Case(When(place="", then=1), default=0)
    return _scopes(user, rows.order_by("clinic__name", nowhere, "place", "name"))


def scope_of(user: Any, device_id: UUID) -> Scope | None:
    """One microscope, retired or not; None when `user` may not see it."""
    return next(iter(_scopes(user, devices_visible_to(user).filter(pk=device_id))), None)


def with_last_picture(devices: QuerySet[Device]) -> QuerySet[Any]:
    """With `last`: when the newest picture of each came; None without any."""
    newest = FieldImage.objects.filter(device=OuterRef("pk")).order_by("-received_at")
    return devices.annotate(last=Subquery(newest.values("received_at")[:1]))


def _scopes(user: Any, rows: QuerySet[Device]) -> list[Scope]:
    devices = list(with_last_picture(rows))
    ids = [device.pk for device in devices]
    alerts: dict[UUID, list[Alert]] = defaultdict(list)
    for alert in alerts_visible_to(user).filter(device__in=ids, cleared_at=None):
        alerts[alert.device_id].append(alert)
    verdicts = _verdicts(ids)
    return [
        Scope(
            device=device,
            last_picture=device.last,
            alerts=alerts[device.pk],
            judged=verdicts[device.pk].total(),
            reasons=Counter({code: n for code, n in verdicts[device.pk].items() if code}),
        )
        for device in devices
    ]


def _verdicts(devices: Sequence[UUID]) -> dict[UUID, Counter[str]]:
    """Of the last 24 hours: how many pictures were rejected for what; '' is for the accepted."""
    lately = FieldImage.objects.filter(
        device__in=devices,
        received_at__gte=timezone.now() - REJECTIONS_OF,
        state__in=[ImageState.ACCEPTED, ImageState.REJECTED],
    )
    counts = lately.order_by().values_list("device", "rejection").annotate(n=Count("pk"))
    verdicts: dict[UUID, Counter[str]] = defaultdict(Counter)
    for device, rejection, n in counts:
        verdicts[device][rejection] = n
    return verdicts
