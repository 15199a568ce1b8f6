"""A worker is woken for what was queued, once for many, and never too late."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from django.conf import settings
from redis import Redis

from diagnostics.services import bell
from tests import servers


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Redis]:
    """A real one, where no worker listens."""
    with servers.redis() as server:
        app = Celery("bell", broker=server.url, set_as_current=False)
        app.conf.task_routes = settings.CELERY_TASK_ROUTES
        app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
        monkeypatch.setattr(bell, "current_app", app)
        yield server
        app.close()


def test_many_uploads_ring_the_bell_few_times_and_never_too_few(monkeypatch: Any) -> None:
    rung: list[float] = []
    asked = threading.Event()

    def send() -> bool:
        rung.append(time.monotonic())
        asked.set()
        return True

    monkeypatch.setattr(bell, "ring_now", send)
    for _ in range(200):
        bell.ring()
    assert asked.wait(5)
    asked.clear()
    bell.ring()  # whatever was rung so far may have come too early for this one
    assert asked.wait(5)
    assert len(rung) < 100


def test_while_all_workers_are_busy_one_message_waits_for_them(broker: servers.Redis) -> None:
    assert [bell.ring_now() for _ in range(5)] == [True] * 5
    assert _take(broker) == 1


def test_once_a_worker_has_taken_the_message_another_is_woken(broker: servers.Redis) -> None:
    for _ in range(3):
        assert bell.ring_now()
        assert _take(broker) == 1


def test_a_broker_that_is_away_is_no_fault_and_is_rung_again_when_it_is_back(
    broker: servers.Redis,
) -> None:
    assert bell.ring_now()
    broker.stop()
    assert not bell.ring_now()
    broker.start()  # empty: the message is lost, as after a bad crash
    assert bell.ring_now()
    assert _take(broker) == 1


def _take(broker: servers.Redis) -> int:
    """How many messages wait for workers; none afterwards."""
    with Redis.from_url(broker.url) as client:
        waiting = client.lrange("analyses", 0, -1)
        client.delete("analyses")
    return len(waiting)
