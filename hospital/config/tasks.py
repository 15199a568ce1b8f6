"""Celery's entry points to what needs the whole house."""

from celery import shared_task

from hospital.config import nightly, probe


@shared_task(name="hospital.config.tasks.probe")
def send_probe() -> bool:
    """Send a drawn smear the whole way."""
    return probe.probe_beside()


@shared_task(name="hospital.config.tasks.retention")
def apply_retention() -> None:
    """Say what is due, or let it go where RETENTION_NIGHTLY says so."""
    nightly.retention_run()
