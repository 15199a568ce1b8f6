"""Celery's entry points: each calls one service."""

from celery import shared_task

from hospital.accounts.signin import lockouts, sessions


@shared_task(name="hospital.accounts.tasks.forget_old_sign_ins")
def forget_old_sign_ins() -> dict[str, int]:
    """Forget sessions that are over, and wrong tries that no longer count."""
    return {"sessions": sessions.forget_old(), "lockouts": lockouts.forget_old()}
