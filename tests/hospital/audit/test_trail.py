"""Promise: what was written down stays written down; what is erased tells nothing."""

import pytest
from django.db import DatabaseError, transaction

from hospital.audit import sealing
from hospital.audit.erasure import erase, merged, ranges_hold, ranges_of
from hospital.audit.models import Entry, Seal
from hospital.audit.verification import verify
from tests.hospital.audit.conftest import at, first_wrong
from tests.world import SETUP, World

# --- append-only ------------------------------------------------------------------------------


def test_nobody_can_change_an_entry(sealed: World) -> None:
    for change in [{"action": "nothing.happened"}, {"actor_name": ""}, {"detail": {}}]:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            Entry.objects.update(**change)


def test_nobody_can_delete_an_entry_or_a_seal(sealed: World) -> None:
    for rows in (Entry.objects.all(), Seal.objects.all()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            rows._raw_delete("default")


def test_nobody_can_change_a_seal(sealed: World) -> None:
    for change in [{"digest": "0" * 64}, {"told": "0" * 64}, {"salt": "0" * 32}]:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            Seal.objects.update(**change)


def test_an_entry_that_is_not_sealed_cannot_be_emptied(world: World) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Entry.objects.update(actor_name="", detail={"erased": True})


def test_every_column_of_the_trail_is_guarded_by_the_trigger() -> None:
    from importlib import import_module

    migration = import_module("hospital.audit.migrations.0003_chain")
    columns = {field.column for field in Entry._meta.concrete_fields}
    assert columns - set(migration.KEPT) == {"actor_name", "detail"}
    columns = {field.column for field in Seal._meta.concrete_fields}
    assert columns - set(migration.SEALED) == {"salt"}


def test_an_entry_holds_no_name_of_a_patient(world: World) -> None:
    world.reported()
    for entry in Entry.objects.filter(patient_id=world.patient.pk):
        assert "Rahman" not in str(entry.detail)


# --- erasing ----------------------------------------------------------------------------------


def test_an_erased_entry_tells_nothing_and_the_chain_still_holds(sealed: World) -> None:
    about = Entry.objects.filter(patient_id=sealed.patient.pk)
    count = erase(actor=SETUP, entries=about, subject=sealed.patient, clinic_id=sealed.clinic.pk)
    assert count == about.count() > 0
    assert {(e.actor_name, str(e.detail)) for e in about} == {("", "{'erased': True}")}
    seals = Seal.objects.filter(entry_id__in=about.values("pk"))
    assert set(seals.values_list("salt", flat=True)) == {""}
    sealing.seal()
    verdict = verify()
    assert verdict.sound
    assert verdict.erased == count


def test_an_entry_emptied_without_an_erasure_is_named(sealed: World) -> None:
    entry = at(7)
    Entry.objects.filter(pk=entry.pk).update(actor_name="", detail={"erased": True})
    Seal.objects.filter(entry_id=entry.pk).update(salt="")
    verdict = verify()
    assert first_wrong(verdict) == 7
    assert "no erasure" in verdict.faults[0].what


def test_ranges_of_ids_hold_those_and_no_others() -> None:
    ids = [1, 2, 3, 7, 9, 10]
    ranges = ranges_of(ids)
    assert ranges == [[1, 3], [7, 7], [9, 10]]
    assert [one for one in range(12) if ranges_hold(ranges, one)] == ids
    assert merged([[7, 9], [1, 3], [2, 4], [5, 5]]) == [[1, 5], [7, 9]]
