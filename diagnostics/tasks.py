"""Celery's entry points: each takes ids and calls one service."""

from celery import shared_task

from diagnostics import pipeline
from diagnostics.services import analyses, fleet, gate, tallies, uploads


@shared_task(name="diagnostics.tasks.analyse")
def analyse(analysis_id: str = "") -> int:
    """Drain the queue. Returns how many runs were finished.

    `analysis_id` is what messages of earlier versions carry.
    """
    return pipeline.drain()


@shared_task(name="diagnostics.tasks.sweep")
def sweep() -> dict[str, int]:
    """Requeue what was left behind, finish or clear away what arrived in pieces, see whose control
    slide is overdue."""
    return analyses.sweep() | uploads.sweep() | gate.sweep()


@shared_task(name="diagnostics.tasks.watch")
def watch() -> dict[str, int]:
    """Look after the microscopes: who is silent, who takes bad pictures, whom to tell."""
    return fleet.watch_fleet()


@shared_task(name="diagnostics.tasks.watch_drift")
def watch_drift() -> int:
    """Look whether any microscope's pictures drift."""
    return fleet.watch_drift()


@shared_task(name="diagnostics.tasks.tally")
def tally() -> int:
    """Add up the days that are over."""
    return tallies.tally()
