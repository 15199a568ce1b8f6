"""Promises to whoever operates the house: it says how it is, truthfully, and of nobody."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone

from diagnostics.models import Analysis
from hospital.base.files import DurableFileSystemStorage
from hospital.config import health
from tests.world import World

pytestmark = pytest.mark.django_db


def said(client: Client, address: str) -> tuple[int, Any]:
    answer = client.get(address)
    return answer.status_code, json.loads(answer.content)


def test_a_process_that_answers_is_alive_whatever_is_behind_it(client: Client) -> None:
    assert said(client, "/healthz") == (200, {"status": "alive"})


def test_it_is_ready_without_a_broker_and_says_that_none_is_there(client: Client) -> None:
    # The tests' settings name a broker where nobody answers.
    status, told = said(client, "/readyz")
    assert status == 200
    assert told["checks"]["database"] == told["checks"]["files"] == "ok"
    assert told["checks"]["broker"] != "ok"


def test_a_full_disk_makes_it_not_ready(client: Client, monkeypatch: Any) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device", "/a/path/of/ours")

    monkeypatch.setattr(DurableFileSystemStorage, "_save", full)
    status, told = said(client, "/readyz")
    assert status == 503
    assert told["checks"]["files"] == "OSError"
    assert "/a/path" not in str(told)


def test_a_database_behind_the_code_makes_it_not_ready(client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [("diagnostics", "0099")])
    status, told = said(client, "/readyz")
    assert status == 503
    assert told["checks"]["database"] == "RuntimeError"


def test_every_check_leaves_nothing_behind(world: World) -> None:
    health.files()
    assert default_storage.listdir("probe") == ([], [])


def numbers(client: Client) -> dict[str, float]:
    """What Prometheus would read, by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    lines = answer.content.decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def test_the_queue_the_readings_and_the_requests_are_told(client: Client, world: World) -> None:
    world.receive(1)
    image = world.receive(2)
    world.succeed(image)
    before = numbers(client)
    assert before['leukolens_queued{priority="live"}'] == 0
    assert before["leukolens_running"] == 1  # the other was claimed with it
    assert before["leukolens_queue_age_seconds"] == 0
    assert before['leukolens_analysed_lately{engine="tests"}'] == 1
    assert before['leukolens_microscopes{state="active"}'] == 2
    world.receive(3)
    client.get("/login/")
    after = numbers(client)
    assert after['leukolens_queued{priority="live"}'] == 1
    assert after["leukolens_queue_age_seconds"] > 0
    counted = 'leukolens_request_seconds_count{method="GET",route="login",status="200"}'
    assert after[counted] == before.get(counted, 0) + 1


def test_a_picture_that_a_worker_has_let_lie_waits_as_well(client: Client, world: World) -> None:
    """So that somebody is alarmed when nobody takes it back."""
    world.claim(world.receive(1))
    assert numbers(client)["leukolens_queue_age_seconds"] == 0
    Analysis.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
    assert numbers(client)["leukolens_queue_age_seconds"] > 0


def test_numbers_are_for_known_addresses_only(client: Client, settings: Any) -> None:
    settings.METRICS_NETWORKS = []
    answer = client.get("/metrics")
    assert answer.status_code == 403
    assert b"METRICS_NETWORKS" in answer.content


def test_no_label_names_a_patient_or_an_address(client: Client, world: World) -> None:
    client.get(f"/worklist/?q={world.patient.family_name}")
    text = client.get("/metrics").content.decode()
    assert world.patient.family_name not in text
    assert "?q=" not in text
