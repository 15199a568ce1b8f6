"""Promise: whoever changes what was written down is found out."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from hospital.audit import anchors, sealing
from hospital.audit.models import Entry, Seal
from hospital.audit.services import record
from hospital.audit.verification import verify
from tests.hospital.audit.conftest import at, first_wrong, tamper
from tests.world import SETUP, World


def test_what_is_written_is_not_sealed_yet_and_then_it_is(world: World) -> None:
    count = Entry.objects.count()
    assert verify().unsealed == count
    assert sealing.seal() == count
    assert sealing.seal() == 0
    verdict = verify()
    assert (verdict.sealed, verdict.unsealed) == (count, 0)
    assert verdict.sound


def test_an_entry_that_waits_too_long_for_its_seal_is_named(world: World) -> None:
    old = timezone.now() - timedelta(hours=1)
    late = Entry.objects.create(
        at=old, actor_kind="system", actor_name="x", action="x.done", subject_type="x"
    )
    [fault] = verify().faults
    assert fault.entry_id == late.pk


def test_a_transaction_that_commits_late_is_sealed_behind_those_that_overtook_it(
    sealed: World,
) -> None:
    newest = Entry.objects.order_by("-pk").first()
    assert newest is not None
    entry = record(SETUP, "tests.early", sealed.clinic)
    sealing.seal()
    # An id from before, as a transaction has that began first and commits last.
    Entry.objects.create(
        pk=entry.pk + 10, actor_kind="system", actor_name="x", action="x.a", subject_type="x"
    )
    sealing.seal()
    Entry.objects.create(
        pk=entry.pk + 5, actor_kind="system", actor_name="x", action="x.b", subject_type="x"
    )
    assert sealing.seal() == 1
    assert at(Seal.objects.count()).pk == entry.pk + 5
    assert verify().sound


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01 00:00:00+00:00"),
        ("actor_kind", "user"),
        ("actor_id", "somebody-else"),
        ("actor_name", "Somebody Else"),
        ("action", "report.signed"),
        ("subject_type", "patients.patient"),
        ("subject_id", "f"),
        ("clinic_id", "0" * 32),
        ("patient_id", "0" * 32),
        ("detail", '{"role": "administrator"}'),
        ("detail", '{"erased": true}'),
    ],
)
def test_a_changed_entry_is_named(sealed: World, column: str, value: str) -> None:
    entry = at(7)
    tamper(f"UPDATE audit_entry SET {column} = %s WHERE id = %s", value, entry.pk)
    verdict = verify()
    assert (first_wrong(verdict), verdict.faults[0].entry_id) == (7, entry.pk)


def test_an_entry_that_is_no_longer_readable_is_named(sealed: World) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL holds no such value")
    tamper("UPDATE audit_entry SET at = 'never' WHERE id = %s", at(7).pk)
    assert first_wrong(verify()) == 7


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("entry_id", "999999"),
        ("position", "999999"),
        ("at", "2020-01-01 00:00:00+00:00"),
        ("salt", "0" * 32),
        ("salt", ""),
        ("told", "0" * 64),
        ("digest", "0" * 64),
    ],
)
def test_a_changed_seal_is_named(sealed: World, column: str, value: str) -> None:
    tamper(f"UPDATE audit_seal SET {column} = %s WHERE position = 7", value)
    verdict = verify()
    # One that was moved away is missed where it stood.
    assert first_wrong(verdict) == (8 if column == "position" else 7)


def test_a_removed_entry_is_named(sealed: World) -> None:
    entry = at(7)
    tamper("DELETE FROM audit_entry WHERE id = %s", entry.pk)
    verdict = verify()
    assert (first_wrong(verdict), verdict.faults[0].entry_id) == (7, entry.pk)
    assert len(verdict.faults) == 1


def test_an_entry_removed_with_its_seal_is_missed(sealed: World) -> None:
    entry = at(7)
    tamper("DELETE FROM audit_seal WHERE position = 7")
    tamper("DELETE FROM audit_entry WHERE id = %s", entry.pk)
    assert "missing" in verify().faults[0].what


def test_a_cut_off_tail_is_noticed_by_what_is_kept_outside(sealed: World) -> None:
    kept, gone = Seal.objects.count() - 3, Seal.objects.count()
    pks = list(Seal.objects.filter(position__gt=kept).values_list("entry_id", flat=True))
    tamper("DELETE FROM audit_seal WHERE position > %s", kept)
    for pk in pks:
        tamper("DELETE FROM audit_entry WHERE id = %s", pk)
    verdict = verify()
    assert first_wrong(verdict) == gone
    assert f"ends at {kept}" in verdict.faults[0].what


def test_a_chain_that_was_computed_anew_is_noticed_by_what_is_kept_outside(sealed: World) -> None:
    tamper("UPDATE audit_entry SET action = 'nothing.happened' WHERE id = %s", at(7).pk)
    tamper("DELETE FROM audit_seal")
    sealing.seal(deep=True)
    [fault] = verify().faults
    assert "rewritten" in fault.what


def test_an_anchor_that_somebody_else_wrote_is_refused(sealed: World, settings: Any) -> None:
    path = Path(settings.AUDIT_ANCHOR_FILE)
    told = json.loads(path.read_text())
    for change in [{"position": 3}, {"digest": "0" * 64}, {"at": "2020"}, {"signature": "AAAA"}]:
        path.write_text(json.dumps(told | change))
        assert "not what this installation signed" in verify().faults[0].what
    path.write_text("no anchor at all\n")
    assert not verify().sound


def test_a_copy_kept_elsewhere_tells_when_the_anchors_were_cut_with_the_chain(
    sealed: World, settings: Any, tmp_path: Path
) -> None:
    copy, key = tmp_path / "copy.jsonl", tmp_path / "public.pem"
    copy.write_text(Path(settings.AUDIT_ANCHOR_FILE).read_text())
    key.write_text(anchors.public_pem())
    count = Seal.objects.count()
    pk = Seal.objects.get(position=count).entry_id
    tamper("DELETE FROM audit_seal WHERE position = %s", count)
    tamper("DELETE FROM audit_entry WHERE id = %s", pk)
    Path(settings.AUDIT_ANCHOR_FILE).unlink()
    assert verify().sound  # nothing here knows better
    assert first_wrong(verify(anchor_file=copy, public_key=key)) == count


def test_the_key_is_for_its_owner_only_and_the_anchors_too(sealed: World, settings: Any) -> None:
    for path in (settings.AUDIT_KEY_FILE, settings.AUDIT_ANCHOR_FILE):
        assert Path(path).stat().st_mode & 0o077 == 0


def test_an_anchor_is_kept_when_it_is_due_and_something_has_happened(
    sealed: World, settings: Any
) -> None:
    from hospital.audit.tasks import seal

    def lines() -> int:
        return len(Path(settings.AUDIT_ANCHOR_FILE).read_text().splitlines())

    record(SETUP, "tests.more", sealed.clinic)
    assert seal() == {"sealed": 1, "anchored": False}
    settings.AUDIT_ANCHOR_SECONDS = -1
    assert seal() == {"sealed": 0, "anchored": True}
    assert seal() == {"sealed": 0, "anchored": False}
    assert lines() == 2


def test_anchors_are_mailed_where_that_is_asked_for(
    sealed: World, settings: Any, mailoutbox: Any
) -> None:
    settings.AUDIT_ANCHOR_MAILS = ["notary@example.org"]
    anchor = anchors.drop()
    assert anchor is not None
    [mail] = mailoutbox
    assert anchor.digest in mail.body


@pytest.mark.django_db(transaction=True)
def test_two_sealers_and_many_writers_at_once_make_one_chain(settings: Any) -> None:
    from tests.world import found

    world = found()
    trouble: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(20):
                record(SETUP, "tests.written", world.clinic)
        except BaseException as error:
            trouble.append(error)
        finally:
            connection.close()

    def keep_sealing() -> None:
        try:
            for _ in range(10):
                sealing.seal()
        except BaseException as error:
            trouble.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=job) for job in [write] * 4 + [keep_sealing] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealing.seal()
    assert not trouble
    verdict = verify()
    assert verdict.sound
    assert verdict.sealed == Entry.objects.count()
