"""The rows of the microscope registry, one file a noun."""

from devices.models.device import Device, DeviceState
from devices.models.health import Alert, AlertKind, Heartbeat
from devices.models.key import DeviceKey, Enrolment

__all__ = [
    "Alert",
    "AlertKind",
    "Device",
    "DeviceKey",
    "DeviceState",
    "Enrolment",
    "Heartbeat",
]
