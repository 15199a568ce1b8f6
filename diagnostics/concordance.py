"""How readers and models agree: on what readers said before the model's word was shown to them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import sqrt
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils import timezone

from diagnostics.models import Certainty, Conclusion, OwnCall
from diagnostics.models.report import SIGNED

# Fewer pairs say nothing that an interval could hold: the formula is for large samples.
ENOUGH = 30
_Z = 1.959964  # of a normal distribution, for 95 %

Pairs = Counter[tuple[str, str]]


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa of two judges with its 95 % interval."""

    value: float
    low: float
    high: float


def kappa_of(pairs: Pairs) -> Kappa | None:
    """Agreement beyond chance; None when it is not defined, as both always said the same one thing.

    The interval is from the large-sample standard error of J. L. Fleiss, J. Cohen, B. S. Everitt
    (1969), Psychological Bulletin 72, 323-327, equation 13; cut off at -1 and 1.

    Args:
        pairs: how often the judges said which two things.
    """
    n = pairs.total()
    rows: Counter[str] = Counter()
    columns: Counter[str] = Counter()
    for (one, other), count in pairs.items():
        rows[one] += count
        columns[other] += count
    said = rows.keys() | columns.keys()
    observed = sum(pairs[name, name] for name in said) / n if n else 0.0
    chance = sum(rows[name] * columns[name] for name in said) / n**2 if n else 1.0
    if chance == 1.0:
        return None
    value = (observed - chance) / (1 - chance)
    rest = 1 - value
    alike = sum(
        pairs[name, name] / n * (1 - (rows[name] + columns[name]) / n * rest) ** 2 for name in said
    )
    apart = rest**2 * sum(
        count / n * ((columns[one] + rows[other]) / n) ** 2
        for (one, other), count in pairs.items()
        if one != other
    )
    variance = (alike + apart - (value - chance * rest) ** 2) / (n * (1 - chance) ** 2)
    reach = _Z * sqrt(max(variance, 0.0))
    return Kappa(value, max(value - reach, -1.0), min(value + reach, 1.0))


@dataclass
class Agreement:
    """Two judges over the same cases."""

    pairs: Pairs = field(default_factory=Counter)

    @property
    def n(self) -> int:
        """How many cases both judged."""
        return self.pairs.total()

    @property
    def alike(self) -> int:
        """On how many they said the same."""
        return sum(count for (one, other), count in self.pairs.items() if one == other)

    @property
    def percent(self) -> float:
        """The share of those."""
        return 100 * self.alike / self.n if self.n else 0.0

    @property
    def kappa(self) -> Kappa | None:
        """None when there are fewer than `ENOUGH` cases, or it is not defined."""
        return kappa_of(self.pairs) if self.n >= ENOUGH else None

    @property
    def missing(self) -> int:
        """How many cases are missing until there are `ENOUGH`."""
        return max(ENOUGH - self.n, 0)


@dataclass
class Reader:
    """One reader beside one package.

    Attributes:
        model: the reader's calls and what the model said then, unseen.
        signed: the reader's calls and what somebody else signed.
        own: the reader's calls and what they signed themselves, having seen the model's word.
    """

    name: str
    package: str
    model: Agreement = field(default_factory=Agreement)
    signed: Agreement = field(default_factory=Agreement)
    own: Agreement = field(default_factory=Agreement)


@dataclass(frozen=True)
class OfClass:
    """One class: how often readers called it, the model said it, and both."""

    name: str
    reader: int
    model: int
    both: int

    @property
    def percent(self) -> float | None:
        """Positive agreement: of all that either said, the share that both did; None of none."""
        total = self.reader + self.model
        return 200 * self.both / total if total else None


@dataclass(frozen=True)
class Concordance:
    """All of it. `table` has a row for each class that readers called, a column for each of the
    model's, both in the order of `classes`."""

    whole: Agreement
    readers: Sequence[Reader]
    classes: Sequence[OfClass]
    table: Sequence[tuple[str, Sequence[int]]]


def concordance_of(calls: QuerySet[OwnCall], *, days: int = 0) -> Concordance:
    """What `calls` tell; the undecided of either side are a class of their own.

    Args:
        days: only those of so many last days; 0 for all.
    """
    if days:
        calls = calls.filter(at__gte=timezone.now() - timedelta(days=days))
    readers: dict[tuple[UUID, str], Reader] = {}
    whole: Pairs = Counter()
    for row in _counted(calls):
        name = f"{row['by__first_name']} {row['by__last_name']}".strip() or row["by__username"]
        key = row["by"], row["package"]
        reader = readers.setdefault(key, Reader(name, row["package"]))
        unsure = not row["impression"] or row["certainty"] == Certainty.UNCERTAIN
        said = Conclusion.UNDETERMINED.value if unsure else row["impression"]
        whole[row["call"], said] += row["n"]
        reader.model.pairs[row["call"], said] += row["n"]
        if row["report__status"] in SIGNED:
            beside = reader.own if row["report__signed_by"] == row["by"] else reader.signed
            beside.pairs[row["call"], row["report__conclusion"]] += row["n"]
    codes = Conclusion.values
    return Concordance(
        Agreement(whole),
        sorted(readers.values(), key=lambda one: (one.name, one.package)),
        [_of_class(one, whole) for one in Conclusion],
        [(Conclusion(one).label, [whole[one, other] for other in codes]) for one in codes],
    )


def _counted(calls: QuerySet[OwnCall]) -> list[dict[str, Any]]:
    keys = (
        *("by", "by__first_name", "by__last_name", "by__username", "package", "call"),
        *("impression", "certainty"),
        *("report__status", "report__conclusion", "report__signed_by"),
    )
    rows: Any = calls.order_by().values(*keys)
    return list(rows.annotate(n=Count("pk")))


def _of_class(one: Conclusion, pairs: Pairs) -> OfClass:
    reader = sum(n for (said, _), n in pairs.items() if said == one)
    model = sum(n for (_, said), n in pairs.items() if said == one)
    return OfClass(str(one.label), reader, model, pairs[one, one])
