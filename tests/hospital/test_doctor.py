"""Promises of the doctor: it says what is wrong and what to do, and goes on to the end."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from diagnostics.models import Analysis
from hospital.config import doctor, health
from hospital.config.doctor import Grade
from ml import packages
from tests.world import World

pytestmark = pytest.mark.django_db


def found(check: Any, monkeypatch: Any) -> list[doctor.Finding]:
    monkeypatch.setattr(doctor, "CHECKS", [check])
    return list(doctor.examine())


def test_it_looks_at_everything_although_the_broker_is_away() -> None:
    # The tests' settings name a broker where nobody answers.
    subjects = {finding.subject: finding for finding in doctor.examine()}
    assert set(subjects) == {check.__name__.replace("_", " ") for check in doctor.CHECKS}
    assert subjects["broker"].grade is Grade.ILL
    assert "Pictures are safe" in subjects["broker"].remedy
    assert subjects["files"].grade is Grade.WELL


def test_whatever_is_not_well_comes_with_what_to_do() -> None:
    for finding in doctor.examine():
        assert (finding.remedy == "") == (finding.grade is Grade.WELL), finding


def test_a_program_reads_the_findings_and_the_exit_code() -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("doctor", "--json", stdout=out)
    assert end.value.code == 1
    grades = {json.loads(line)["grade"] for line in out.getvalue().splitlines()}
    assert "ill" in grades


def test_a_changed_model_package_is_named(monkeypatch: Any, tmp_path: Path, settings: Any) -> None:
    for file in packages.COMMITTED.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "head.safetensors").write_bytes(b"changed")
    settings.MODEL_PACKAGE = str(tmp_path)
    (finding,) = found(doctor.model, monkeypatch)
    assert finding.grade is Grade.ILL
    assert "head.safetensors" in finding.found


def test_a_full_disk_is_told_before_microscopes_are_refused(monkeypatch: Any) -> None:
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    (finding,) = found(doctor.files, monkeypatch)
    assert (finding.grade, finding.remedy) == (
        Grade.ILL,
        "Make room, or microscopes get 503 and keep their pictures.",
    )


def test_a_picture_that_waits_too_long_is_told(monkeypatch: Any, world: World) -> None:
    world.receive()
    long_ago = doctor.timezone.now() - doctor.timedelta(minutes=10)
    Analysis.objects.update(queued_at=long_ago)
    monkeypatch.setattr(
        doctor.app.control, "inspect", lambda **_: type("Asked", (), {"active_queues": dict})()
    )
    findings = found(doctor.workers, monkeypatch)
    assert [f.grade for f in findings] == [Grade.ILL] * 3
    assert "600 s" in findings[-1].found


def test_an_installation_that_shows_errors_to_everybody_is_ill(
    monkeypatch: Any, settings: Any
) -> None:
    settings.DEBUG = True
    assert any(
        "DEBUG" in f.found and f.grade is Grade.ILL for f in found(doctor.border, monkeypatch)
    )


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no clock of its own")
def test_a_database_with_another_clock_is_told(monkeypatch: Any) -> None:
    ours = doctor.time.time
    monkeypatch.setattr(doctor.time, "time", lambda: ours() + 3600)
    assert any(
        f.grade is Grade.ILL and "clock" in f.found for f in found(doctor.database, monkeypatch)
    )


def test_a_database_behind_the_code_is_told(monkeypatch: Any) -> None:
    def behind() -> None:
        raise RuntimeError("migrations are missing: manage.py migrate")

    monkeypatch.setattr(health, "database", behind)
    (finding,) = found(doctor.database, monkeypatch)
    assert finding.grade is Grade.ILL
    assert "manage.py migrate" in finding.remedy
