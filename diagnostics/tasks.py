"""Celery's entry points: each takes ids and calls one service."""

from celery import shared_task

from diagnostics import heating, pipeline
from diagnostics.services import (
    analyses,
    escalation,
    fleet,
    gate,
    heat,
    notices,
    references,
    release,
    removal,
    tallies,
    uploads,
)


@shared_task(name="diagnostics.tasks.analyse")
def analyse(analysis_id: str = "") -> int:
    """Drain the queue, and draw what readers wait for. Returns how many runs were finished.

    `analysis_id` is what messages of earlier versions carry.
    """
    heating.draw_wanted()
    return pipeline.drain()


@shared_task(name="diagnostics.tasks.sweep")
def sweep() -> dict[str, int]:
    """Requeue what was left behind, finish or clear away what arrived in pieces, see whose control
    slide is overdue, release what has its time, remove what is to go."""
    swept = analyses.sweep() | uploads.sweep() | gate.sweep() | release.sweep()
    # Last: it asks the storage, which may be away.
    return swept | {"heat_maps": heat.nudge_forgotten()} | removal.sweep()


@shared_task(name="diagnostics.tasks.collect_references")
def collect_references() -> int:
    """Measure cells of the cases signed lately, for readers to compare others with."""
    return references.collect()


@shared_task(name="diagnostics.tasks.watch")
def watch() -> dict[str, int]:
    """Look after the microscopes, escalate what nobody has told, mail families of what is new."""
    return fleet.watch_fleet() | escalation.sweep() | notices.mail_families()


@shared_task(name="diagnostics.tasks.watch_drift")
def watch_drift() -> int:
    """Look whether any microscope's pictures drift."""
    return fleet.watch_drift()


@shared_task(name="diagnostics.tasks.tally")
def tally() -> int:
    """Add up the days that are over."""
    return tallies.tally()
