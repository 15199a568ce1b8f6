"""The banner that stands on every page of the clinic's staff until a critical result is told."""

from typing import Any

from django import template

from diagnostics.selectors import open_call_backs

register = template.Library()

SHOWN = 5


@register.inclusion_tag("diagnostics/parts/call_backs.html", takes_context=True)
def call_backs(context: Any, swap: bool = False) -> dict[str, Any]:
    """What waits to be told in the clinics whose cases the user may see.

    A page that has looked it up gives it in its context, as `untold`.
    """
    user = context.get("user")
    rows = context.get("untold", [])
    if "untold" not in context and user and user.is_authenticated and user.is_active:
        rows = open_call_backs(user)
    return {"rows": rows[:SHOWN], "more": max(len(rows) - SHOWN, 0), "swap": swap}
