"""A sealed trail, and somebody who holds its database in their hands."""

from typing import Any

import pytest
from django.db import connection

from hospital.audit import anchors, sealing
from hospital.audit.models import Entry, Seal
from hospital.audit.verification import Verdict, verify
from tests.world import World


@pytest.fixture
def sealed(world: World) -> World:
    """A hospital whose trail is sealed and anchored."""
    sealing.seal()
    anchors.drop()
    assert verify().sound
    return world


def tamper(statement: str, *values: Any) -> None:
    """Change the database as somebody would who holds it in their hands, triggers or not."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
        cursor.execute(statement, values)
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = origin")


def first_wrong(verdict: Verdict) -> int:
    """The position of the first fault."""
    return verdict.faults[0].position


def at(position: int) -> Entry:
    return Entry.objects.get(pk=Seal.objects.get(position=position).entry_id)
