"""Mails from rows: mailed is what was sent, whoever else is at it and whoever dies over it.

A row that is to be mailed says so in its own columns, and has `mailing_until`: so long it is
somebody's to mail, and another's afterwards. Nothing is lost; at worst somebody is told twice.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

log = logging.getLogger(__name__)

# What is older than this when a mail server comes back is no news any more.
NEWS = timedelta(days=1)
# Longer than a mail server may let us wait for one mail, step by step (EMAIL_TIMEOUT each).
LEASE = timedelta(minutes=2)

# Subject and text.
Letter = tuple[str, str]
Row = TypeVar("Row", bound=Model)


@transaction.atomic
def claim(rows: Sequence[Row], **due: Any) -> list[Row]:
    """Those of `rows`, which are one or more, that are still `due`, and ours to mail for a while.

    Args:
        due: columns of their own, by which they say that they are to be mailed.
    """
    now = timezone.now()
    free = Q(mailing_until=None) | Q(mailing_until__lte=now)
    named = type(rows[0])._base_manager.filter(pk__in=[row.pk for row in rows])
    ours = named.filter(free, **due).select_for_update(skip_locked=True)
    held = set(ours.values_list("pk", flat=True))
    named.filter(pk__in=held).update(mailing_until=now + LEASE)
    return [row for row in rows if row.pk in held]


def send(ours: QuerySet[Any], letters: Mapping[str, Letter], **mailed: Any) -> bool:
    """Write to each address by itself: who else is told is nobody's business.

    Args:
        ours: the claimed rows, as long as they are due.
        letters: by address. Where none is to be written the rows are settled all the same.
        mailed: columns that say so, stored when somebody was written to.

    Returns:
        Whether somebody was. If not, the rows wait for the next watch.
    """
    sent = 0
    for address, letter in letters.items():
        ours.update(mailing_until=timezone.now() + LEASE)
        sent += _sent(address, letter)
    settled = mailed if sent or not letters else {}
    ours.update(**settled, mailing_until=None)
    return bool(sent)


def _sent(address: str, letter: Letter) -> bool:
    subject, text = letter
    try:
        # A header is one line, whatever a name in it holds.
        send_mail(" ".join(subject.split()), text, None, [address])
    # An address that is none is a ValueError, and stops none of the others.
    except (OSError, ValueError) as error:
        # Without its words, which may name the address.
        log.warning("a mail was not sent (%s); the next watch tries again", type(error).__name__)
        return False
    return True
