"""Promise: what was written down stays written down."""

import pytest
from django.db import DatabaseError, transaction

from hospital.audit.models import Entry
from tests.world import World


def test_nobody_can_change_an_entry(world: World) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Entry.objects.update(action="nothing.happened")


def test_nobody_can_delete_an_entry(world: World) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Entry.objects.all()._raw_delete("default")


def test_an_entry_holds_no_name_of_a_patient(world: World) -> None:
    world.reported()
    for entry in Entry.objects.filter(patient_id=world.patient.pk):
        assert "Rahman" not in str(entry.detail)
