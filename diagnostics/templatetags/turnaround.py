"""The strip that says how long a case took, stage by stage."""

from typing import Any

from django import template

from diagnostics.models import DiagnosticReport
from diagnostics.turnaround import clock_of

register = template.Library()


@register.inclusion_tag("diagnostics/case/clock.html")
def case_clock(report: DiagnosticReport, swap: bool = False) -> dict[str, Any]:
    """The report's clock, for the case page and its live part."""
    return {"clock": clock_of(report), "swap": swap}
