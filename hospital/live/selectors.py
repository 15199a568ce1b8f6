"""Where a page starts to listen from."""

from django.db.models import Max

from hospital.live.models import Event


def newest_event_id() -> int:
    """The last event a page about to be rendered can know of; it listens from there on.

    Asked *before* the page's own queries: what happens in between is then sent once too often
    rather than never.
    """
    return Event.objects.aggregate(newest=Max("id"))["newest"] or 0
