"""Erasing what the trail tells of a person, in a way that leaves it provable.

Of an erased entry the ids, the deed and the moment stay; name and detail go, and with them the
salt, without which the digest that remains tells nothing. An entry of its own, `audit.erased`,
says which were emptied and by whom; `verify` takes an empty entry for tampering without it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, QuerySet

from hospital.audit import sealing
from hospital.audit.models import Entry, Seal
from hospital.audit.services import Actor, record

ERASED = "audit.erased"
BATCH = 500


@transaction.atomic
def erase(*, actor: Actor, entries: QuerySet[Entry], subject: models.Model, clinic_id: Any) -> int:
    """Empty `entries`, and note which. Returns how many.

    Args:
        subject: on whose account, e.g. the patient.
        clinic_id: whose administrators see the note.
    """
    # What is not sealed could not be proven afterwards.
    sealing.seal(deep=True, wait=True)
    sealed = entries.filter(Exists(Seal.objects.filter(entry_id=OuterRef("pk"))))
    full = sealed.exclude(action=ERASED).exclude(detail={"erased": True})
    ids = sorted(full.order_by().values_list("pk", flat=True))
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        Entry.objects.filter(pk__in=some).update(actor_name="", detail={"erased": True})
        Seal.objects.filter(entry_id__in=some).update(salt="")
    if ids:
        record(actor, ERASED, subject, clinic_id=clinic_id, entries=ranges_of(ids))
    return len(ids)


def ranges_of(ids: Sequence[int]) -> list[list[int]]:
    """Sorted ids as pairs of the first and the last of each run."""
    ranges: list[list[int]] = []
    for one in ids:
        if ranges and ranges[-1][1] == one - 1:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    return ranges


def merged(ranges: Iterable[Sequence[int]]) -> list[list[int]]:
    """Pairs of several erasures as sorted ones that do not touch."""
    joined: list[list[int]] = []
    for first, last in sorted((one[0], one[1]) for one in ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1][1] = max(joined[-1][1], last)
        else:
            joined.append([first, last])
    return joined


def ranges_hold(ranges: Sequence[list[int]], one: int) -> bool:
    """Whether `one` is in a pair of those that `ranges_of` or `merged` made."""
    behind = bisect_right(ranges, one, key=lambda pair: pair[0])
    return behind > 0 and one <= ranges[behind - 1][1]
