"""What every page draws: icons, points in time, numbers."""

import functools
import json
from datetime import datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hospital.base import shaping

register = template.Library()
register.filter("numerals", shaping.numerals)
register.filter("day", shaping.day)
register.filter("day_and_time", shaping.moment)


@register.simple_tag
@functools.cache  # some hundred on the page of a large case
def icon(name: str) -> SafeString:
    """A symbol of img/icons.svg, as decoration for the word beside it."""
    return format_html(
        '<svg class="icon icon-{}" role="img" aria-hidden="true" focusable="false">'
        '<use href="{}#{}"></use></svg>',
        name,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def moment(at: datetime | None, *, relative: bool = False) -> SafeString | str:
    """A <time>; `relative` ones are rewritten as '5 min ago' and kept so by js/ages.js."""
    if at is None:
        return "–"
    local = timezone.localtime(at)
    return format_html(
        '<time class="{}" datetime="{}" title="{}">{}</time>',
        "age" if relative else "moment",
        local.isoformat(timespec="seconds"),
        shaping.weekday(local),
        shaping.brief(local),
    )


@register.filter
def share(part: Any, whole: Any) -> str:
    """`part` of `whole` as a percentage for an SVG attribute, e.g. '37.5%'."""
    return f"{100 * float(part or 0) / float(whole):.1f}%" if whole else "0%"


@register.filter
def as_json(value: Any) -> str:
    """For a data attribute, which the template escapes."""
    return json.dumps(value, ensure_ascii=False)


@register.filter
def get(mapping: dict[str, Any], key: str) -> Any:
    """`mapping[key]`, or '' when it is not there."""
    return mapping.get(key, "")
