"""Celery's entry points: each takes ids and calls one service."""

from celery import shared_task

from diagnostics import pipeline
from diagnostics.services import analyses, fleet, notices, release, uploads


@shared_task(name="diagnostics.tasks.analyse")
def analyse(analysis_id: str = "") -> int:
    """Drain the queue. Returns how many runs were finished.

    `analysis_id` is what messages of earlier versions carry.
    """
    return pipeline.drain()


@shared_task(name="diagnostics.tasks.sweep")
def sweep() -> dict[str, int]:
    """Requeue what was left behind, tidy what came in pieces, release what has its time."""
    return analyses.sweep() | uploads.sweep() | release.sweep()


@shared_task(name="diagnostics.tasks.watch")
def watch() -> dict[str, int]:
    """Look after the microscopes, and mail families that there is something new."""
    return fleet.watch_fleet() | notices.mail_families()


@shared_task(name="diagnostics.tasks.watch_drift")
def watch_drift() -> int:
    """Look whether any microscope's pictures drift."""
    return fleet.watch_drift()
