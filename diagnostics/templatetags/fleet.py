"""The way to the pages, with how many microscopes want attention; and figures for people."""

from typing import Any

from django import template

from devices.selectors import alerts_visible_to
from devices.services.health import in_words
from diagnostics.wording import rejections_in_words
from hospital.accounts.selectors import permissions_of

register = template.Library()


@register.inclusion_tag("parts/nav.html", takes_context=True)
def pages_of(context: Any, swap: bool = False) -> dict[str, Any]:
    """Links to the pages that the signed-in user may open; nothing for patients and guardians."""
    user = context["user"]
    held = permissions_of(user) if user.is_authenticated and user.is_active else frozenset()
    everything = user.is_authenticated and user.is_superuser
    may_see_fleet = everything or "devices.view_device" in held
    return {
        "worklist": everything or "diagnostics.view_diagnosticreport" in held,
        "fleet": may_see_fleet,
        "alerts": alerts_visible_to(user).filter(cleared_at=None).count() if may_see_fleet else 0,
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
