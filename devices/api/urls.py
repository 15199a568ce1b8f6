"""Addresses of the device API that are about the microscope itself."""

from django.urls import path

from devices.api.door import HeartbeatView

urlpatterns = [path("heartbeat", HeartbeatView.as_view(), name="device-heartbeat")]
