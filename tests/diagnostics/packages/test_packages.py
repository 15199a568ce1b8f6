"""Promises about model packages: one reads, and there is a way back."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, transaction
from django.test import Client
from django.urls import reverse

from diagnostics import pipeline, readers
from diagnostics.models import (
    Analysis,
    ModelPackage,
    PackageState,
)
from diagnostics.possible import package_actions
from diagnostics.services import packages
from diagnostics.services.packages import PackageRefused
from hospital.audit.models import Entry
from hospital.audit.services import Actor
from hospital.base.problems import Conflict, Forbidden, NotFound
from hospital.base.states import IllegalTransition
from hospital.config import workers
from ml import packages as ml_packages
from tests.diagnostics.packages.conftest import folder, state_of
from tests.diagnostics.test_pipeline import post
from tests.diagnostics.test_possible import granted
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


# --- who, and what is refused -----------------------------------------------------------------


@pytest.mark.parametrize("who", ["administrator", "haematologist", "technician", "guardian"])
def test_only_who_administers_the_whole_house_changes_them(
    world: World, first: ModelPackage, second: ModelPackage, who: str
) -> None:
    actor = Actor.user(getattr(world, who))
    for deed in (packages.activate, packages.shadow, packages.end_shadow, packages.retire):
        with pytest.raises(Forbidden):
            deed(actor=actor, package=second)
    with pytest.raises(Forbidden):
        packages.register(actor=actor, folder=ml_packages.COMMITTED)
    with pytest.raises(Forbidden):
        packages.roll_back(actor=actor)
    with pytest.raises(Forbidden):
        packages.activate(actor=Actor.device(world.device), package=second)
    assert state_of(second) == PackageState.REGISTERED


def test_every_deed_is_in_the_audit_trail(
    world: World, first: ModelPackage, second: ModelPackage
) -> None:
    actor = Actor.user(world.superuser)
    packages.shadow(actor=actor, package=second)
    packages.end_shadow(actor=actor, package=second)
    packages.activate(actor=actor, package=second)
    packages.roll_back(actor=actor)
    packages.retire(actor=actor, package=second)
    done = Entry.objects.filter(actor_id=str(world.superuser.pk)).order_by("pk")
    assert [entry.action for entry in done] == [
        "package.shadowed",
        "package.shadow_ended",
        "package.activated",
        "package.rolled_back",
        "package.retired",
    ]


def test_a_changed_or_foreign_folder_is_refused_and_says_which_file(tmp_path: Path) -> None:
    with pytest.raises(PackageRefused, match=r"package\.json") as nothing:
        packages.register(actor=SETUP, folder=tmp_path)
    assert nothing.value.code == "package_tampered"
    broken = folder(tmp_path, "2.8")
    (broken / "gate.safetensors").write_bytes(b"other")
    with pytest.raises(PackageRefused, match=r"gate\.safetensors"):
        packages.register(actor=SETUP, folder=broken)
    assert not ModelPackage.objects.exists()


def test_a_package_behind_another_preprocessing_is_refused(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(packages.preprocessing, "VERSION", "another")
    with pytest.raises(PackageRefused) as refused:
        packages.register(actor=SETUP, folder=ml_packages.COMMITTED)
    assert refused.value.code == "package_other_preprocessing"


def test_a_package_is_registered_once_and_again_when_it_has_moved_or_was_retired(
    tmp_path: Path, second: ModelPackage
) -> None:
    with pytest.raises(Conflict) as known:
        packages.register(actor=SETUP, folder=Path(second.path))
    assert known.value.code == "package_known"
    moved = shutil.copytree(second.path, tmp_path / "moved")
    assert packages.register(actor=SETUP, folder=moved).pk == second.pk
    second.refresh_from_db()
    assert second.path == str(moved)
    packages.retire(actor=SETUP, package=second)
    packages.register(actor=SETUP, folder=moved)
    assert state_of(second) == PackageState.REGISTERED


def test_a_folder_that_was_changed_since_is_not_put_to_use(
    first: ModelPackage, second: ModelPackage
) -> None:
    manifest = Path(second.path) / "package.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": "9"}))
    for deed in (packages.activate, packages.shadow):
        with pytest.raises(PackageRefused):
            deed(actor=SETUP, package=second)
    assert (state_of(first), state_of(second)) == ("active", "registered")


@pytest.mark.parametrize("state", PackageState.values)
def test_just_that_is_offered_which_is_granted(
    first: ModelPackage, second: ModelPackage, state: str
) -> None:
    package = first if state == PackageState.ACTIVE else second
    if state in {PackageState.SHADOW, PackageState.RETIRED}:
        to = packages.shadow if state == PackageState.SHADOW else packages.retire
        package = to(actor=SETUP, package=package)
    offered = package_actions(package, first)
    for name in ("activate", "shadow", "end_shadow", "retire"):
        deed = getattr(packages, name)
        assert getattr(offered, name) == granted(deed, actor=SETUP, package=package), name


# --- which one is in use ----------------------------------------------------------------------


def test_exactly_one_is_in_use(first: ModelPackage, second: ModelPackage) -> None:
    packages.activate(actor=SETUP, package=second)
    assert (state_of(first), state_of(second)) == ("registered", "active")
    with pytest.raises(IllegalTransition):
        packages.activate(actor=SETUP, package=second)
    with pytest.raises(IllegalTransition):
        packages.retire(actor=SETUP, package=second)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelPackage.objects.update(state=PackageState.ACTIVE)


def test_the_way_back_leads_through_all_that_were_in_use(
    tmp_path: Path, first: ModelPackage, second: ModelPackage
) -> None:
    third = packages.register(actor=SETUP, folder=folder(tmp_path, "3.0"))
    packages.activate(actor=SETUP, package=second)
    packages.activate(actor=SETUP, package=third)
    assert packages.roll_back(actor=SETUP) == second
    assert packages.roll_back(actor=SETUP) == first
    with pytest.raises(Conflict) as nowhere:
        packages.roll_back(actor=SETUP)
    assert nowhere.value.code == "no_package_before"
    assert state_of(first) == PackageState.ACTIVE


def test_a_worker_reads_with_the_setting_until_a_package_is_chosen_and_then_with_that_one(
    world: World, tmp_path: Path, settings: Any, engines: list[Path | None]
) -> None:
    settings.MODEL_PACKAGE = str(folder(tmp_path, "2.5"))
    post(world, seed=1)
    pipeline.drain()
    chosen = packages.register(actor=SETUP, folder=folder(tmp_path, "2.9"))
    packages.activate(actor=SETUP, package=chosen)
    post(world, seed=2)
    pipeline.drain()
    assert [path and path.name for path in engines] == ["2.5", "2.9"]
    assert Analysis.objects.get(package_digest=chosen.digest).image.sha256


def test_a_worker_in_the_middle_of_its_queue_changes_over(
    world: World,
    settings: Any,
    monkeypatch: Any,
    engines: list[Path | None],
    first: ModelPackage,
    second: ModelPackage,
) -> None:
    settings.ANALYSIS_BATCH = 1
    for seed in range(6):
        post(world, seed=seed)
    stored = pipeline.succeed_all
    batches = []

    def then_activate(found: Any) -> int:
        batches.append(len(found))
        if len(batches) == 2:
            packages.activate(actor=SETUP, package=second)
        return stored(found)

    monkeypatch.setattr(pipeline, "succeed_all", then_activate)
    assert pipeline.drain() == 6
    read = Analysis.objects.values_list("package_digest", flat=True)
    assert set(read) == {first.digest, second.digest}
    assert list(read).count(second.digest) >= 2
    assert len(engines) == 2


def test_a_package_that_cannot_be_loaded_leaves_the_one_before_at_work_and_says_why(
    world: World,
    engines: list[Path | None],
    monkeypatch: Any,
    first: ModelPackage,
    second: ModelPackage,
) -> None:
    post(world, seed=1)
    pipeline.drain()
    packages.activate(actor=SETUP, package=second)
    shutil.rmtree(second.path)
    post(world, seed=2)
    pipeline.drain()
    pipeline.drain()
    second.refresh_from_db()
    assert "missing" in second.trouble
    assert set(Analysis.objects.values_list("package_digest", flat=True)) == {first.digest}
    assert Entry.objects.filter(action="package.not_loaded").count() == 1
    assert len(engines) == 2, "it is not tried again at once"
    # The folder comes back; the next try finds it.
    folder(Path(second.path).parent, "2.9")
    monkeypatch.setattr(readers, "PATIENCE_SECONDS", -1.0)
    pipeline.drain()
    second.refresh_from_db()
    assert second.trouble == ""


def test_a_worker_that_has_nothing_else_does_not_start_with_a_broken_package(
    world: World, engines: list[Path | None], first: ModelPackage, second: ModelPackage
) -> None:
    packages.activate(actor=SETUP, package=second)
    folder_now = Path(second.path)
    shutil.rmtree(folder_now)
    ml_packages.revise(
        ml_packages.verify(ml_packages.COMMITTED), folder_now, version="4.0", documents={}
    )
    with pytest.raises(readers.PackageReplaced, match="registered one"):
        pipeline.reader()


def test_a_worker_that_starts_while_the_database_is_away_waits_for_it(
    monkeypatch: Any, caplog: Any
) -> None:
    def away() -> None:
        raise OperationalError("away")

    monkeypatch.setattr(pipeline, "reader", away)
    queues = SimpleNamespace(consume_from={"analyses"})
    instance = SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=queues)))
    workers.load_model(sender="w", instance=instance)  # no exit
    assert "loaded when the database is back" in caplog.text


# --- the command ------------------------------------------------------------------------------


def run(*words: str, capsys: Any) -> str:
    call_command("packages", *words)
    return str(capsys.readouterr().out)


def test_the_command_does_it_all(tmp_path: Path, capsys: Any) -> None:
    assert "MODEL_PACKAGE" in run("list", capsys=capsys)
    run("register", capsys=capsys)
    new = folder(tmp_path, "2.9")
    run("register", str(new), capsys=capsys)
    old_digest, new_digest = (
        ml_packages.verify(one).digest for one in (ml_packages.COMMITTED, new)
    )
    run("activate", old_digest[:8], capsys=capsys)
    run("shadow", new_digest, capsys=capsys)
    run("end-shadow", new_digest, capsys=capsys)
    run("activate", new_digest, capsys=capsys)
    told = run("rollback", capsys=capsys)
    assert "In use" in told and new_digest[:12] in told
    assert packages.in_use() == packages.named(old_digest)
    run("retire", new_digest, capsys=capsys)
    with pytest.raises(CommandError, match="No such package"):
        run("activate", "ab", capsys=capsys)
    with pytest.raises(NotFound):
        packages.named("0" * 64)
    assert Entry.objects.filter(actor_name__startswith="packages command").count() == 8


def test_the_card_of_a_package_is_there_wherever_the_package_lies(
    client: Client, world: World, tmp_path: Path
) -> None:
    client.force_login(world.haematologist)
    outside = ml_packages.revise(
        ml_packages.verify(ml_packages.COMMITTED),
        tmp_path / "outside",
        version="3.1",
        documents={"MODEL_CARD.md": "# The outsider's card"},
    )
    address = reverse("model-card", args=[outside.digest])
    assert client.get(address).status_code == 404  # nobody has said yet where it is
    packages.register(actor=SETUP, folder=outside.folder)
    assert "The outsider" in client.get(address).content.decode()
