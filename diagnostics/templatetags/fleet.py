"""The way to the pages, with how many microscopes want attention; and figures for people."""

from typing import Any

from django import template

from devices.services.health import in_words
from diagnostics.header import header_of, workplaces_of
from diagnostics.wording import rejections_in_words

register = template.Library()


@register.inclusion_tag("parts/nav.html", takes_context=True)
def pages_of(context: Any, swap: bool = False) -> dict[str, Any]:
    """Links to the pages that the user may open; nothing for those who have one or none.

    A page that has looked up the user's `workplaces` gives them in its context.
    """
    user = context["user"]
    known = "workplaces" in context
    header = header_of(user, context["workplaces"] if known else workplaces_of(user))
    held = header.permissions
    return {
        "worklist": "diagnostics.view_diagnosticreport" in held,
        "fleet": "devices.view_device" in held,
        "dashboard": "diagnostics.view_dashboard" in held,
        "concordance": header.calls_first,
        "alerts": header.alerts,
        "here": context.get("here", ""),
        "swap": swap,
    }


@register.filter
def span(seconds: float | str | None) -> str:
    """A span of time in words, '' when it is not known (as templates have it: None or '')."""
    return "" if seconds in {None, ""} else in_words(float(seconds or 0))


@register.filter
def gigabytes(size: int | str | None) -> str:
    """Bytes as '21.4 GB', '' when not known."""
    return "" if size in {None, ""} else f"{float(size or 0) / 1e9:,.1f} GB"


@register.filter
def reasons(counts: Any) -> str:
    """Rejections by code, in words."""
    return rejections_in_words(counts)
