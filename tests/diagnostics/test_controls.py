"""Promises about control slides: a microscope that reads a known slide wrong does not go unseen."""

from dataclasses import fields
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from devices.models import Alert, AlertKind
from diagnostics.models import (
    Analysis,
    ControlRun,
    ControlSlide,
    ControlState,
    DiagnosticReport,
    FieldImage,
    Hold,
    Outcome,
)
from diagnostics.services import analyses, controls
from diagnostics.services.reanalysis import Where, candidates
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden
from hospital.live.models import Event
from ml.quality import Metrics
from tests.diagnostics.conftest import Show, read, send
from tests.world import BENIGN, SETUP, SURE, UNSURE, World, add_specimen

pytestmark = pytest.mark.django_db


def test_a_control_slide_is_shown_like_a_specimen_and_gets_no_report(
    world: World, slide: ControlSlide
) -> None:
    image = send(world, slide.label)
    run = ControlRun.objects.get(image=image)
    assert (run.state, run.device, image.label) == (ControlState.PENDING, world.device, "QC-1")
    assert image.analyses.get().state == "queued"
    assert not DiagnosticReport.objects.exists()


def test_a_slide_read_as_expected_passes(show: Show) -> None:
    run = show()
    assert (run.state, run.reasons) == (ControlState.PASSED, [])
    assert run.measured["figures"]["focus"] == 1.8
    assert Entry.objects.filter(action="control.passed").exists()
    assert Event.objects.filter(kind="control.decided").exists()
    assert not DiagnosticReport.objects.exists()


@pytest.mark.parametrize(
    ("shown", "word"),
    [
        ({"probabilities": SURE}, "read as Pre-B ALL instead of Benign"),
        ({"probabilities": {**UNSURE, "benign": 0.5}}, "without certainty"),
        ({"outcome": Outcome.UNUSABLE}, "not read as a class: picture not usable"),
        ({"outcome": Outcome.UNFAMILIAR}, "not read as a class"),
        ({"figures": {"focus": 1.1}}, "Focus is 1.1, below the range 1.4 to 2.2."),
        ({"figures": {"focus": 3.0}}, "above the range"),
    ],
    ids=["class", "certainty", "unusable", "unfamiliar", "below", "above"],
)
def test_a_slide_read_otherwise_fails_and_says_why(
    world: World, show: Show, shown: dict[str, Any], word: str
) -> None:
    run = show(**shown)
    assert run.state == ControlState.FAILED
    assert any(word in reason for reason in run.reasons), run.reasons
    alert = Alert.objects.get(device=world.device, cleared_at=None)
    assert (alert.kind, alert.detail) == (AlertKind.CONTROL_FAILED, run.reasons[0])


def test_an_analysis_that_fails_fails_the_control_and_is_not_tried_again(
    world: World, slide: ControlSlide
) -> None:
    analysis = world.claim(send(world, slide.label))
    assert analyses.fail(analysis, code="internal")
    run = ControlRun.objects.get()
    assert (run.state, run.reasons) == (
        ControlState.FAILED,
        ["The picture could not be analysed."],
    )
    with pytest.raises(Conflict) as refused:
        analyses.retry(user=world.superuser, analysis=Analysis.objects.get())
    assert refused.value.code == "control_decided"


def test_a_pass_clears_the_alerts(world: World, show: Show) -> None:
    show(SURE)
    show()
    assert not Alert.objects.filter(device=world.device, cleared_at=None).exists()


def test_a_worker_back_from_the_dead_decides_nothing_twice(
    world: World, slide: ControlSlide
) -> None:
    image = send(world, slide.label)
    stale = world.claim(image)
    Analysis.objects.filter(pk=stale.pk).update(
        state="queued", lease=None, lease_until=None, worker=""
    )
    read(world, image, BENIGN)
    assert not analyses.fail(stale, code="internal")
    assert ControlRun.objects.get().state == ControlState.PASSED


def test_another_clinics_slide_is_refused(world: World, slide: ControlSlide) -> None:
    with pytest.raises(Forbidden) as refused:
        send(world, slide.label, device=world.other_device)
    assert refused.value.code == "other_clinic"
    assert not FieldImage.objects.exists()


def test_a_withdrawn_slide_is_refused(world: World, slide: ControlSlide) -> None:
    controls.withdraw(actor=SETUP, slide=slide)
    with pytest.raises(Conflict) as refused:
        send(world, slide.label)
    assert refused.value.code == "control_slide_withdrawn"


def test_a_label_is_a_specimens_or_a_control_slides_never_both(
    world: World, slide: ControlSlide
) -> None:
    twin = ControlSlide(clinic=world.clinic, label=world.specimen.accession, expected="benign")
    with pytest.raises(ValidationError, match="accession number"):
        controls.save_slide(actor=SETUP, slide=twin)
    with pytest.raises(ValidationError, match="control slide"):
        add_specimen(world.patient, slide.label)


def test_a_label_stays_once_pictures_have_come(show: Show, slide: ControlSlide) -> None:
    show()
    slide.label = "QC-2"
    with pytest.raises(Conflict):
        controls.save_slide(actor=SETUP, slide=slide)


@pytest.mark.parametrize(
    "ranges",
    [{"sharpness": [1, 2]}, {"focus": 1}, {"focus": [2, 1]}, {"focus": [1]}, {"focus": ["a", 2]}],
)
def test_a_range_that_makes_no_sense_is_refused(slide: ControlSlide, ranges: Any) -> None:
    slide.ranges = ranges
    with pytest.raises(ValidationError):
        controls.save_slide(actor=SETUP, slide=slide)


def test_ranges_can_be_set_on_every_figure_that_is_measured() -> None:
    assert set(controls.FIGURES) == {figure.name for figure in fields(Metrics)}


def test_ranges_are_proposed_from_the_slides_own_passes(show: Show, slide: ControlSlide) -> None:
    with pytest.raises(Conflict):
        controls.adopt_proposal(actor=SETUP, slide=slide)
    for focus in (1.7, 1.75, 1.8, 1.85, 1.9):
        show(figures={"focus": focus})
    show(SURE, figures={"focus": 9.0})  # failed: no example to follow
    low, high = controls.proposed_ranges(slide)["focus"]
    assert 1.4 < low < 1.7
    assert 1.9 < high < 2.2
    controls.adopt_proposal(actor=SETUP, slide=slide)
    slide.refresh_from_db()
    assert slide.ranges["focus"] == [low, high]


def test_an_archive_read_again_leaves_control_pictures_out(show: Show, world: World) -> None:
    show()
    world.reported()
    again = candidates(Where(), package="cd" * 32)
    assert [image.specimen for image in again] == [world.specimen]


def test_a_control_picture_is_never_held(gated: World, slide: ControlSlide) -> None:
    assert not send(gated, slide.label).held
    assert not Hold.objects.exists()
