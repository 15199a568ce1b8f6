"""What the tests of pages share."""

from typing import Any

import pytest

from diagnostics.models import DiagnosticReport
from hospital.accounts.models import ReleaseRule
from tests.world import SURE


@pytest.fixture
def report(world: Any) -> DiagnosticReport:
    """A report with one classified picture, released at once."""
    world.clinic.release_rule = ReleaseRule.IMMEDIATE
    world.clinic.save()
    return world.reported(SURE)
