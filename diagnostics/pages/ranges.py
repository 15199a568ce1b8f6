"""How many days back a page looks: one of those that it offers."""

from collections.abc import Sequence

from django.http import HttpRequest

RANGES = (7, 30, 90)


def days_asked(request: HttpRequest, *, among: Sequence[int] = RANGES, otherwise: int = 30) -> int:
    """The days of `?days=`, or `otherwise` when it is none of `among`."""
    asked = request.GET.get("days", "")
    return int(asked) if asked in map(str, among) else otherwise
