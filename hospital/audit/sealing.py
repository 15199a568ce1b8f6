"""Sealing: entries join the chain soon after they are written, never while somebody waits.

Whoever writes an entry does not touch the chain, so that writers never queue for it. One sealer at
a time, whichever housekeeping worker it is, puts what has been committed into an order. An entry
without a seal is shown as such and is not yet protected; that lasts seconds.
"""

import secrets

from django.db import connection, transaction
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.utils import timezone

from hospital.audit import chain
from hospital.audit.models import Entry, Seal

# In one transaction: on SQLite everybody else waits for so many.
BATCH = 1000
# Ids are given before the commit, so that late ones turn up behind the newest sealed. So far back
# is looked every time; `deep` looks at everything.
BEHIND = 20_000
# Of PostgreSQL's advisory locks; any number that nobody else takes.
_LOCK = 0x4C_45_55_4B


def unsealed(*, deep: bool = False) -> QuerySet[Entry]:
    """The entries outside the chain, the oldest first; without `deep` among the newest only."""
    rows = Entry.objects.filter(~Exists(Seal.objects.filter(entry_id=OuterRef("pk"))))
    newest = None if deep else Seal.objects.aggregate(newest=Max("entry_id"))["newest"]
    return rows.filter(pk__gt=(newest or 0) - BEHIND if not deep else 0).order_by("pk")


def seal(*, deep: bool = False, wait: bool = False) -> int:
    """Seal everything that is committed. Returns how many entries.

    Args:
        deep: look for unsealed entries everywhere, not only among the newest.
        wait: when another sealer is at it, wait for it rather than leave it the work.
    """
    sealed = 0
    while unsealed(deep=deep).exists():
        count = _seal_batch(deep, wait)
        sealed += count
        if count < BATCH:
            break
    return sealed


@transaction.atomic
def _seal_batch(deep: bool, wait: bool) -> int:
    if not _alone(wait):
        return 0
    head = Seal.objects.order_by("-position").first()
    position, former = (head.position, head.digest) if head else (0, chain.START)
    now, seals = timezone.now(), []
    for place, entry in enumerate(unsealed(deep=deep)[:BATCH], start=position + 1):
        salt = secrets.token_hex(16)
        one = Seal(entry_id=entry.pk, position=place, at=now, salt=salt)
        one.told = chain.told_by(entry, salt)
        one.digest = former = chain.digest_of(entry, one, former)
        seals.append(one)
    Seal.objects.bulk_create(seals)
    return len(seals)


def _alone(wait: bool) -> bool:
    """Whether this transaction is the only sealer. SQLite has one writer at a time anyway."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])
