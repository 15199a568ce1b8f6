"""Promises of what runs at night: nothing is erased unless the hospital has said so."""

from typing import Any

import pytest
from django.utils import timezone

from diagnostics.models import Specimen
from diagnostics.services import retention
from hospital.base.models import LastRun
from hospital.config import doctor
from hospital.config.nightly import ACTOR, retention_run
from patients.models import Kept, Patient
from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def due(world: World) -> int:
    """How many patients a rule concerns tonight."""
    long_ago = timezone.now() - timezone.timedelta(days=9)
    Specimen.objects.update(registered_at=long_ago)
    Patient.objects.update(registered_at=long_ago)
    retention.set_rule(actor=ACTOR, kind=Kept.PATIENTS, days=1)
    return Patient.objects.count()


def erased() -> int:
    return Patient.objects.exclude(erased_at=None).count()


def test_by_default_the_night_only_counts(due: int) -> None:
    run = retention_run()
    assert run.told == {"counts": {"patients": due}, "applied": False}
    assert erased() == 0
    assert any(f", {due} patients due" in said for _, said, _ in doctor.chores())


def test_a_hospital_that_says_so_has_its_rules_applied(due: int, settings: Any) -> None:
    settings.RETENTION_NIGHTLY = "apply"
    assert retention_run().told["applied"] is True
    assert erased() == due


def test_more_than_a_night_may_erase_waits_for_a_person(due: int, settings: Any) -> None:
    settings.RETENTION_NIGHTLY = "apply"
    settings.RETENTION_MOST_PATIENTS = due - 1
    run = retention_run()
    assert erased() == 0
    assert "Look at the clock" in run.trouble
    assert LastRun.objects.get().succeeded_at is None


def test_a_night_that_breaks_off_is_told_all_the_same(
    due: int, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETENTION_NIGHTLY = "apply"

    def ill(**_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as night:
        night.setattr(retention, "apply", ill)
        assert "broke off" in retention_run().trouble
    with monkeypatch.context() as night:
        night.setattr(retention, "erase_patient", ill)
        assert f"{due} patients could not be erased" in retention_run().trouble
    assert LastRun.objects.get().succeeded_at is None
    assert any("could not be erased" in said for _, said, _ in doctor.chores())
