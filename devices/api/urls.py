"""Addresses of the device API that are about the microscope itself."""

from django.urls import path

from devices.api.door import HeartbeatView
from devices.api.enrolment import EnrolView, KeyView

urlpatterns = [
    path("enrol", EnrolView.as_view(), name="device-enrol"),
    path("heartbeat", HeartbeatView.as_view(), name="device-heartbeat"),
    path("key", KeyView.as_view(), name="device-key"),
]
