"""What this machine can say of itself. Whatever it cannot say is left out."""

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_STARTED = time.monotonic()


def of_machine(folder: Path) -> dict[str, Any]:
    """Fields of the heartbeat: uptime_seconds, free_bytes, temperature_celsius, wifi_dbm.

    Args:
        folder: whose disk counts.
    """
    found = {
        "uptime_seconds": _uptime(),
        "free_bytes": shutil.disk_usage(folder).free,
        "temperature_celsius": _temperature(Path("/sys/class/thermal")),
        "wifi_dbm": _wifi(Path("/proc/net/wireless")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _uptime() -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(float(Path("/proc/uptime").read_text().split()[0]))
    return int(time.monotonic() - _STARTED)


def _temperature(zones: Path) -> float | None:
    """Degrees Celsius of the hottest zone."""
    readings = []
    for zone in zones.glob("thermal_zone*/temp"):
        with suppress(OSError, ValueError):
            readings.append(int(zone.read_text()) / 1000)
    return max(readings, default=None)


def _wifi(table: Path) -> int | None:
    """Signal level in dBm of the first wireless interface."""
    with suppress(OSError, ValueError, IndexError):
        # Two lines of headings; then 'wlan0: 0000   54.  -56.  -256 …'.
        level = int(float(table.read_text().splitlines()[2].split()[3]))
        # Old drivers count from 0 to 255.
        return level - 256 if level > 0 else level
    return None
