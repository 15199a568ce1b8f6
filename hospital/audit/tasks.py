"""Celery's entry points: each calls one service."""

from typing import Any

from celery import shared_task

from hospital.audit import anchors, sealing


@shared_task(name="hospital.audit.tasks.seal")
def seal() -> dict[str, Any]:
    """Seal what has been written, and keep the head outside when that is due."""
    return {"sealed": sealing.seal(), "anchored": anchors.drop_when_due()}


@shared_task(name="hospital.audit.tasks.seal_what_was_missed")
def seal_what_was_missed() -> int:
    """Look for unsealed entries everywhere, as a very long transaction may have left one."""
    return sealing.seal(deep=True)
