"""Where a page starts to listen from."""

from django.db.models import BigIntegerField, Max, Subquery, Value
from django.db.models.functions import Coalesce

from hospital.live.models import Event


def newest_event_id() -> int:
    """The last event a page about to be rendered can know of; it listens from there on.

    Asked *before* the page's own queries: what happens in between is then sent once too often
    rather than never.
    """
    return Event.objects.aggregate(newest=Max("id"))["newest"] or 0


def newest_event() -> Coalesce:
    """`newest_event_id` as a column of the first question that a page asks."""
    newest = Event.objects.order_by("-id").values("id")[:1]
    return Coalesce(Subquery(newest), Value(0), output_field=BigIntegerField())
