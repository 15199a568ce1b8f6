"""A connection that is kept from one request to the next is there for the next, or is replaced."""

import time
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import NotSupportedError, connection

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


def test_what_a_connection_asks_often_is_kept_ready_by_the_server() -> None:
    with connection.cursor() as cursor:
        for number in range(2 * settings.DATABASES["default"]["OPTIONS"]["prepare_threshold"]):
            cursor.execute("SELECT %s::int + 4", [number])
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%+ 4'")
        assert cursor.fetchone() == (1,)


def test_a_table_that_an_upgrade_changes_costs_a_kept_connection_one_error_at_most() -> None:
    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT word FROM tried_tables")

    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as upgrade:
        upgrade.execute("CREATE TABLE tried_tables (word varchar(5))")
        try:
            for _ in range(10):
                ask()
            upgrade.execute("ALTER TABLE tried_tables ALTER COLUMN word TYPE varchar(9)")
            with pytest.raises(NotSupportedError, match="cached plan"):
                ask()
            next_request()
            ask()
        finally:
            upgrade.execute("DROP TABLE tried_tables")
