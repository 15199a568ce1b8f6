"""Which socket follows which topics: the only place that knows both sides."""

from typing import Any, cast

from django.urls import path

from hospital.accounts.selectors import live_topics as clinic_topics
from hospital.accounts.signin.standing import still_open
from hospital.live.consumers import EventConsumer
from patients.selectors import live_topics as patient_topics

# Django types `path` for HTTP views only; Channels' router takes ASGI applications.
websocket_urlpatterns: list[Any] = [
    path(f"ws/{name}/", cast(Any, EventConsumer.as_asgi(topics_for=topics, still_open=still_open)))
    for name, topics in [("clinic", clinic_topics), ("portal", patient_topics)]
]
