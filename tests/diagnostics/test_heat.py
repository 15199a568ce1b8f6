"""Heat maps: drawn when asked for, once, by a worker that may die; never where there is nothing."""

import io
from typing import Any

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from diagnostics import heating
from diagnostics.models import Analysis, DiagnosticReport, HeatMap, Outcome
from diagnostics.services import bell, heat
from hospital.base import files
from hospital.base.problems import Conflict, Forbidden
from hospital.live.models import Event
from ml import packages
from ml.reading import Reader
from tests.diagnostics.test_pages import client_of
from tests.diagnostics.test_pipeline import post


class Trunks:
    """An engine with maps of its own, the same for every picture."""

    name = "tests"
    batch = 8

    def maps(self, original: np.ndarray, segmented: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = (len(original), 8, 8, 512)
        rng = np.random.default_rng(5)
        return rng.random(shape, np.float32), rng.random(shape, np.float32)


@pytest.fixture
def model() -> Reader:
    return Reader(packages.describe(packages.COMMITTED), Trunks())  # type: ignore[arg-type]


@pytest.fixture
def run(world: Any, model: Reader, monkeypatch: pytest.MonkeyPatch) -> Analysis:
    """A drawn smear, read by the committed package."""
    monkeypatch.setattr(bell, "ring", lambda: None)
    done = world.succeed(post(world, seed=3))
    Analysis.objects.filter(pk=done.pk).update(package_digest=model.package.digest)
    return Analysis.objects.get(pk=done.pk)


def shown(world: Any, run: Analysis) -> Any:
    return client_of(world.technician).get(reverse("picture", args=[run.image_id, "heat"]))


def ask(world: Any, run: Analysis) -> Any:
    return client_of(world.technician).post(reverse("picture-ask-heat", args=[run.image_id]))


def let_lease_expire() -> None:
    HeatMap.objects.update(lease_until=timezone.now() - timezone.timedelta(seconds=1))


def page(world: Any) -> str:
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    answer = client_of(world.technician).get(reverse("case", args=[report.pk]))
    return answer.content.decode()


def test_it_is_drawn_by_a_worker_and_the_screens_are_told(
    world: Any, run: Analysis, model: Reader
) -> None:
    assert shown(world, run).status_code == 404
    assert 'data-heat-state=""' in page(world)
    assert ask(world, run).json() == {"state": "wanted"}
    assert 'data-heat-state="wanted"' in page(world)
    assert heating.draw_wanted(model=model) == 1
    picture = Image.open(io.BytesIO(shown(world, run).content))
    assert (picture.mode, picture.size) == ("RGBA", (224, 224))
    assert 'data-heat-state="drawn"' in page(world)
    assert Event.objects.filter(kind="report.looked_at").count() == 1


def test_asking_twice_draws_once(world: Any, run: Analysis, model: Reader) -> None:
    ask(world, run)
    ask(world, run)
    assert heating.draw_wanted(model=model) == 1
    assert ask(world, run).json() == {"state": "drawn"}
    assert heating.draw_wanted(model=model) == 0


def test_of_many_workers_that_look_one_draws_it_and_the_others_cost_it_no_attempt(
    world: Any, run: Analysis, model: Reader
) -> None:
    ask(world, run)
    begun = heat.claim()
    assert begun is not None
    assert [heating.draw_wanted(model=model) for _ in range(4)] == [0, 0, 0, 0]
    wanted = HeatMap.objects.get()
    assert (wanted.state, wanted.attempts) == ("wanted", 1)
    assert heat.drawn(begun, b"map")


def test_a_map_whose_worker_died_is_drawn_by_another_when_the_lease_has_run_out(
    world: Any, run: Analysis, model: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = []
    monkeypatch.setattr(bell, "ring", lambda: rung.append(1))
    heat.ask(user=world.technician, analysis=run)
    assert heat.claim()  # and the worker dies
    HeatMap.objects.update(nudged_at=timezone.now() - timezone.timedelta(minutes=5))
    assert heat.nudge_forgotten() == 0  # somebody may be drawing it
    let_lease_expire()
    assert heat.nudge_forgotten() == 1 and rung
    assert heating.draw_wanted(model=model) == 1
    drawn = HeatMap.objects.get()
    assert (drawn.state, drawn.attempts, drawn.lease_until) == ("drawn", 2, None)


def test_of_two_workers_the_first_settles_it(world: Any, run: Analysis, model: Reader) -> None:
    ask(world, run)
    late = heat.claim()
    assert late is not None
    let_lease_expire()
    assert heating.draw_wanted(model=model) == 1
    drawn = shown(world, run).content
    assert not heat.drawn(late, b"another")
    assert not heat.fail(late, "internal")
    assert shown(world, run).content == drawn


def test_a_picture_that_kills_its_workers_is_given_up(
    world: Any, run: Analysis, model: Reader, settings: Any
) -> None:
    ask(world, run)
    for _ in range(settings.ANALYSIS_MAX_ATTEMPTS):
        assert heat.claim()  # and the worker dies
        let_lease_expire()
    assert heating.draw_wanted(model=model) == 1
    asked = HeatMap.objects.get()
    assert (asked.state, asked.failure) == ("failed", "worker_lost")
    assert "Drawing it stopped each time" in page(world)


def test_a_failed_one_can_be_asked_for_again(world: Any, run: Analysis, model: Reader) -> None:
    ask(world, run)
    body = files.read(run.image.storage_key)
    files.remove(run.image.storage_key)
    heating.draw_wanted(model=model)
    assert HeatMap.objects.get().failure == "file_missing"
    files.put(run.image.storage_key, body)
    assert ask(world, run).json() == {"state": "wanted"}
    heating.draw_wanted(model=model)
    assert HeatMap.objects.get().state == "drawn"


def test_another_model_does_not_explain_what_it_has_not_said(
    world: Any, run: Analysis, model: Reader
) -> None:
    Analysis.objects.filter(pk=run.pk).update(package_digest="ab" * 32)
    ask(world, run)
    heating.draw_wanted(model=model)
    assert HeatMap.objects.get().failure == "other_package"


def test_one_that_cannot_be_drawn_does_not_stop_the_others(
    world: Any, run: Analysis, model: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trunks, "maps", lambda *pictures: 1 / 0)
    ask(world, run)
    assert heating.draw_wanted(model=model) == 1
    assert HeatMap.objects.get().failure == "internal"


def test_where_the_model_was_not_asked_there_is_nothing_to_explain(
    world: Any, run: Analysis
) -> None:
    spoilt = world.succeed(world.receive(4), outcome=Outcome.UNUSABLE, rejection="out_of_focus")
    with pytest.raises(Conflict) as refused:
        heat.ask(user=world.technician, analysis=spoilt)
    assert refused.value.code == "nothing_to_explain"


@pytest.mark.parametrize("who", ["outsider", "guardian", "device_manager", "administrator"])
def test_only_readers_of_the_clinic_ask(world: Any, run: Analysis, who: str) -> None:
    with pytest.raises(Forbidden):
        heat.ask(user=getattr(world, who), analysis=run)


def test_a_lost_message_is_sent_again(
    world: Any, run: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = []
    monkeypatch.setattr(bell, "ring", lambda: rung.append(1))
    heat.ask(user=world.technician, analysis=run)
    assert heat.nudge_forgotten() == 0
    HeatMap.objects.update(nudged_at=timezone.now() - timezone.timedelta(minutes=5))
    assert heat.nudge_forgotten() == 1
    assert rung
    assert heat.nudge_forgotten() == 0
