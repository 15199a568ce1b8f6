"""The product's own settings, and one app more: what strikes at the named steps of an image's way.

The product knows nothing of it; it is only ever named by the drill, in DJANGO_SETTINGS_MODULE.
"""

import os
import time
from datetime import datetime, timedelta

from django.utils import timezone

from hospital.config.settings import *  # noqa: F403
from hospital.config.settings import INSTALLED_APPS
from tests.drills.faults.orders import NAME, of_this_process

INSTALLED_APPS = [*INSTALLED_APPS, "tests.drills.faults.inside.Inside"]

_orders, _name, _right = of_this_process(), os.environ[NAME], timezone.now
_jump, _read_at = timedelta(), 0.0


def _now() -> datetime:
    """This process's clock, which may have jumped."""
    global _jump, _read_at  # noqa: PLW0603
    if time.monotonic() - _read_at > 0.2:
        _read_at = time.monotonic()
        _jump = timedelta(seconds=float(_orders.told(f"clock-{_name}") or 0))
    return _right() + _jump


# Before any model is loaded: their defaults are the function itself.
timezone.now = _now
