"""What the tests of pages share."""

from typing import Any

import pytest

from diagnostics.models import DiagnosticReport
from tests.world import SURE


@pytest.fixture
def report(world: Any) -> DiagnosticReport:
    """A report with one classified picture, released at once."""
    world.at_once()
    return world.reported(SURE)
