"""Reading an archive again under another package, in the background: see docs/decisions/0008."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, time
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from devices.models import Device
from diagnostics.models import (
    Analysis,
    AnalysisState,
    DiagnosticReport,
    FieldImage,
    Priority,
    ReportStatus,
)
from diagnostics.models.analysis import OPEN
from diagnostics.models.report import SIGNED, UNSIGNED
from diagnostics.services import bell, packages
from hospital.accounts.models import Clinic
from hospital.audit.services import Actor, entry, record_all
from hospital.base.problems import Refusal

CHUNK = 500
_REPORTS = {"signed": SIGNED, "unsigned": UNSIGNED} | {s.value: (s,) for s in ReportStatus}


class UnknownFilter(Refusal):
    """A filter that does not exist, or a value that it cannot take."""

    code = "unknown_filter"


@dataclass(frozen=True, slots=True)
class Where:
    """Which pictures of the archive; what is '' does not matter.

    clinic: its code. since, until: when the picture was received, a date or a moment of ISO 8601,
    until exclusive. package: digest, or its beginning, of a package that has read the picture.
    device: the microscope's serial number. report: 'signed', 'unsigned' or a `ReportStatus`.
    """

    clinic: str = ""
    since: str = ""
    until: str = ""
    package: str = ""
    device: str = ""
    report: str = ""

    @classmethod
    def parsed(cls, texts: list[str]) -> "Where":
        """From texts like 'clinic=north'.

        Raises:
            UnknownFilter: no such filter, or one named twice or without a value.
        """
        known = [one.name for one in fields(cls)]
        given: dict[str, str] = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in known or name in given or not value:
                raise UnknownFilter(
                    f"'{text}' is no filter. Say each once, as name=value: {', '.join(known)}."
                )
            given[name] = value
        return cls(**given)

    def images(self) -> QuerySet[FieldImage]:
        """The pictures meant.

        Raises:
            UnknownFilter: a value that cannot be right; a typo must not mean 'everything'.
        """
        # A control is decided once, the probe's pictures come and go, the erased's are gone.
        images = FieldImage.objects.filter(
            specimen__clinic__probe=False, specimen__patient__erased_at=None
        )
        if self.clinic:
            images = images.filter(specimen__clinic=_known(Clinic, "clinic", code=self.clinic))
        if self.device:
            serial = _known(Device, "device", serial=self.device)
            images = images.filter(device=serial)
        if self.since:
            images = images.filter(received_at__gte=_moment(self.since))
        if self.until:
            images = images.filter(received_at__lt=_moment(self.until))
        if self.package:
            images = images.filter(Exists(_read_by(self.package)))
        if self.report:
            if self.report not in _REPORTS:
                raise UnknownFilter(f"report is one of {', '.join(_REPORTS)}.")
            images = images.filter(specimen__report__status__in=_REPORTS[self.report])
        return images

    def as_dict(self) -> dict[str, str]:
        """The filters that say something."""
        return {
            one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)
        }


def candidates(where: Where, *, package: str) -> QuerySet[FieldImage]:
    """The pictures that are still to be queued for the package of digest `package`.

    Passed over: what it has read, what it was asked to read (also in vain: a failed run is tried
    again from the case), and what is being read just now.
    """
    # What it read along in silence is read again: those readings never have a say.
    asked = ~Q(priority=Priority.SHADOW) & (
        Q(package_wanted=package) | Q(package_digest=package, state=AnalysisState.SUCCEEDED)
    )
    settled = Analysis.objects.filter(asked | Q(state__in=OPEN), image=OuterRef("pk"))
    return where.images().filter(~Exists(settled))


def queue(*, actor: Actor, where: Where, package: str) -> Iterator[int]:
    """Queue background runs for all candidates, a chunk at a time; gives each chunk's size.

    Whoever stops half-way has lost nothing: the next time begins where this one ended.
    """
    last: UUID | None = None
    while True:
        rows = candidates(where, package=package)
        if last is not None:
            rows = rows.filter(specimen_id__gte=last)
        # A specimen's pictures follow each other, so that few reports stand between two packages.
        chunk = list(
            rows.order_by("specimen_id", "pk").values_list(
                "pk", "specimen_id", "specimen__clinic_id"
            )[:CHUNK]
        )
        if not chunk:
            break
        last = chunk[-1][1]
        yield _queue(actor, where, package, [(image, clinic) for image, _, clinic in chunk])
    bell.ring_now()


@transaction.atomic
def _queue(actor: Actor, where: Where, package: str, images: list[tuple[UUID, UUID]]) -> int:
    runs = [
        Analysis(image_id=image, priority=Priority.BACKGROUND, package_wanted=package, speaks=False)
        for image, _ in images
    ]
    # A picture that got a run of its own since we looked keeps that one.
    Analysis.objects.bulk_create(runs, ignore_conflicts=True)
    clinics = Clinic.objects.in_bulk({clinic for _, clinic in images})
    record_all(
        entry(
            actor,
            "reanalysis.queued",
            clinics[pk],
            clinic_id=pk,
            patient_id=None,
            detail={"package": package, "pictures": count, "where": where.as_dict()},
        )
        for pk, count in Counter(clinic for _, clinic in images).items()
    )
    return Analysis.objects.filter(pk__in=[run.pk for run in runs]).count()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a package is with what it was asked to read again."""

    queued: int
    running: int
    succeeded: int
    failed: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.queued + self.running + self.finished

    @property
    def finished(self) -> int:
        """Read, or given up."""
        return self.succeeded + self.failed


def progress(package: str) -> Progress:
    """How far the package of digest `package` is."""
    runs = Analysis.objects.filter(package_wanted=package, priority=Priority.BACKGROUND)
    counted = runs.values_list("state").annotate(count=Count("pk")).order_by()
    counts: dict[str, int] = dict.fromkeys(AnalysisState.values, 0) | dict(counted)
    return Progress(**counts)


def dissents(package: str) -> tuple[int, int]:
    """How many pictures the package reads otherwise than they were read before.

    Returns:
        All of them, and those among them whose report is signed: somebody should look.
    """
    earlier = Analysis.objects.filter(
        image=OuterRef("image"), state=AnalysisState.SUCCEEDED, queued_at__lt=OuterRef("queued_at")
    ).order_by("-queued_at")
    runs = Analysis.objects.filter(
        package_wanted=package, state=AnalysisState.SUCCEEDED, priority=Priority.BACKGROUND
    )
    judged = runs.annotate(
        was=Subquery(earlier.values("outcome")[:1]), said=Subquery(earlier.values("label")[:1])
    )
    other = judged.filter(~Q(was=F("outcome")) | ~Q(said=F("label")), was__isnull=False)
    signed = DiagnosticReport.objects.filter(
        specimen=OuterRef("image__specimen"), status__in=SIGNED
    )
    return other.count(), other.filter(Exists(signed)).count()


def _read_by(digest: str) -> QuerySet[Analysis]:
    least = packages.SHORTEST_DIGEST
    if len(digest) < least:
        raise UnknownFilter(f"Give at least {least} digits of the package's digest.")
    read = Analysis.objects.filter(image=OuterRef("pk"), state=AnalysisState.SUCCEEDED)
    return read.filter(package_digest__startswith=digest)


def _known(model: Any, name: str, **which: str) -> Any:
    found = model.objects.filter(**which)
    if not found:
        raise UnknownFilter(f"There is no {name} '{next(iter(which.values()))}'.")
    return found[0]


def _moment(text: str) -> datetime:
    """A date as its first moment, or a moment; in the hospital's time zone unless it names one."""
    try:
        day = parse_date(text)
        moment = datetime.combine(day, time.min) if day else parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise UnknownFilter(f"'{text}' is no date. Write 2026-03-31 or 2026-03-31T08:00.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
