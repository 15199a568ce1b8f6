"""The composition root: settings, addresses, ASGI, Celery, and the embedded stack."""

from hospital.config.celery import app as celery_app

__all__ = ["celery_app"]
