"""Which socket follows which topics: the only place that knows both sides."""

from django.urls import path

from hospital.accounts.selectors import live_topics as clinic_topics
from hospital.live.consumers import EventConsumer
from patients.selectors import live_topics as patient_topics

websocket_urlpatterns = [
    path("ws/clinic/", EventConsumer.as_asgi(topics_for=clinic_topics)),
    path("ws/portal/", EventConsumer.as_asgi(topics_for=patient_topics)),
]
