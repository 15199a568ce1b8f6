"""Two packages over the same pictures: where they agree, and each picture on which they do not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import TruncWeek
from django.utils import timezone

from diagnostics.models import Analysis, AnalysisState, ModelPackage, Outcome
from diagnostics.models.analysis import CLASS_NAMES
from diagnostics.services import own_call
from diagnostics.services.tallies import VERDICT

# Of the pictures that are read otherwise, those shown; the newest first.
SHOWN = 50
VERDICTS: dict[str, str] = {**CLASS_NAMES, **dict(Outcome.choices)}
del VERDICTS[Outcome.CLASSIFIED]


@dataclass(frozen=True)
class Agreement:
    """Of so many pictures, so many were read alike. `subject` is a microscope's name or a week."""

    subject: Any
    pictures: int
    alike: int

    @property
    def percent(self) -> float:
        """The share read alike."""
        return 100 * self.alike / self.pictures if self.pictures else 0.0


@dataclass(frozen=True)
class Comparison:
    """How one package reads beside another.

    `table` has a row for each verdict of the other package (the one in use), and in it a count
    for each verdict of `package`, both in the order of `verdicts`.
    """

    verdicts: Sequence[str]
    table: Sequence[tuple[str, Sequence[int]]]
    whole: Agreement
    devices: Sequence[Agreement]
    weeks: Sequence[Agreement]
    changes: Sequence[Any]


def compare(package: ModelPackage, beside: ModelPackage, *, days: int, user: Any) -> Comparison:
    """What `package` made of the pictures it was asked to read in the last `days` days, beside
    what `beside` made of the same pictures, each picture counted once for each of its readings.

    Pictures that `beside` has not read are left out. Not listed as changes are those of cases that
    `user` has to call first.
    """
    runs = _pairs(package, beside, days)
    groups = runs.order_by().values_list(
        "said", "was", "image__device__name", TruncWeek("finished_at")
    )
    said_was: Counter[tuple[str, str]] = Counter()
    devices: Counter[tuple[str, bool]] = Counter()
    weeks: Counter[tuple[date, bool]] = Counter()
    for said, was, device, week, n in groups.annotate(n=Count("pk")):
        said_was[said, was] += n
        devices[device, said == was] += n
        weeks[timezone.localdate(week), said == was] += n
    seen = {verdict for pair in said_was for verdict in pair}
    verdicts = [code for code in VERDICTS if code in seen]
    changes = runs.exclude(said=F("was")).select_related("image__specimen__report", "image__device")
    changes = changes.exclude(own_call.hidden_from(user, "image__specimen__report__"))
    return Comparison(
        verdicts=[VERDICTS[code] for code in verdicts],
        table=[(VERDICTS[was], [said_was[said, was] for said in verdicts]) for was in verdicts],
        whole=Agreement(
            None, said_was.total(), sum(n for (said, was), n in said_was.items() if said == was)
        ),
        devices=_agreements(devices),
        weeks=_agreements(weeks),
        changes=[
            {
                "run": run,
                "was": VERDICTS.get(run.was, run.was),
                "said": VERDICTS.get(run.said, run.said),
            }
            for run in changes.order_by("-finished_at")[:SHOWN]
        ],
    )


def _pairs(package: ModelPackage, beside: ModelPackage, days: int) -> QuerySet[Any]:
    """The readings of `package` with what it `said`, and what `beside` had said: `was`."""
    other = Analysis.objects.filter(
        image=OuterRef("image"), package_digest=beside.digest, state=AnalysisState.SUCCEEDED
    ).order_by("-queued_at")
    runs = Analysis.objects.filter(
        package_wanted=package.digest,
        state=AnalysisState.SUCCEEDED,
        finished_at__gte=timezone.now() - timedelta(days=days),
    )
    return runs.annotate(
        said=VERDICT, was=Subquery(other.annotate(verdict=VERDICT).values("verdict")[:1])
    ).filter(was__isnull=False)


def _agreements(counts: Counter[tuple[Any, bool]]) -> list[Agreement]:
    subjects = sorted({subject for subject, _ in counts})
    return [
        Agreement(subject, counts[subject, True] + counts[subject, False], counts[subject, True])
        for subject in subjects
    ]
