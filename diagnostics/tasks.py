"""Celery's entry points: each takes ids and calls one service."""

from celery import shared_task

from diagnostics import pipeline
from diagnostics.services import analyses, gate


@shared_task(name="diagnostics.tasks.analyse")
def analyse(analysis_id: str = "") -> int:
    """Drain the queue. Returns how many runs were finished.

    `analysis_id` is what messages of earlier versions carry.
    """
    return pipeline.drain()


@shared_task(name="diagnostics.tasks.sweep")
def sweep() -> dict[str, int]:
    """Requeue what was left behind, and see whose control slide is overdue."""
    return analyses.sweep() | gate.sweep()
