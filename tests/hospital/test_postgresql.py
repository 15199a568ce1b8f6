"""A connection that is kept from one request to the next is there for the next, or is replaced."""

import time
from typing import Any

import psycopg
import pytest
from django.db import connection

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is in the process"),
    pytest.mark.django_db(transaction=True),
]


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def next_request() -> None:
    """What Django does with a kept connection at the end of a request and before the next."""
    connection.close_at = None
    connection.close_if_unusable_or_obsolete()


def test_a_connection_that_the_server_ended_is_replaced_before_anything_is_asked() -> None:
    ended = backend()
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [ended])
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [ended]).fetchone():
            time.sleep(0.01)
    next_request()
    assert backend() != ended


def test_a_connection_that_is_closed_on_our_side_is_replaced() -> None:
    ended = backend()
    connection.connection.close()
    next_request()
    assert backend() != ended


def test_a_connection_of_which_nothing_was_heard_is_kept_without_a_question(
    monkeypatch: Any,
) -> None:
    kept = backend()
    asked: list[bool] = []
    monkeypatch.setattr(connection, "is_usable", lambda: not asked.append(True))
    next_request()
    assert backend() == kept
    assert not asked
