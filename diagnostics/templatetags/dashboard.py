"""Figures as the dashboard writes them."""

from django import template
from django.utils.formats import number_format

register = template.Library()


@register.filter
def percent(value: float | str | None) -> str:
    """A number of per cent, '–' when not known."""
    return "–" if value in {None, ""} else f"{number_format(round(float(value or 0), 1))} %"


@register.filter
def signed(value: float) -> str:
    """A difference in percentage points, with its sign."""
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{number_format(abs(round(value, 1)))}"
