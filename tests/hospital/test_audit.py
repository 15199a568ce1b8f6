"""Promise: what was written down stays written down, and whoever changes it is found out."""

import io
import json
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from diagnostics.models import DiagnosticReport
from hospital.audit import anchors, sealing
from hospital.audit.erasure import erase, merged, ranges_hold, ranges_of
from hospital.audit.models import Entry, Seal
from hospital.audit.services import record
from hospital.audit.verification import Verdict, verify
from tests.world import SETUP, World


@pytest.fixture(autouse=True)
def _anchors(settings: Any, tmp_path: Path) -> None:
    """Each test has its own anchors and key."""
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "elsewhere" / "anchors.jsonl")
    settings.AUDIT_KEY_FILE = str(tmp_path / "audit-key.pem")


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


# --- append-only -------------------------------------------------------------------------------


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


# --- the chain ---------------------------------------------------------------------------------


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


# --- erasing -----------------------------------------------------------------------------------


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


# --- the command -------------------------------------------------------------------------------


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("audit", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_the_command_says_that_the_trail_is_whole(sealed: World) -> None:
    assert "The trail is whole." in said("verify")


def test_the_command_names_the_first_wrong_entry_and_fails(sealed: World) -> None:
    entry = at(7)
    tamper("UPDATE audit_entry SET actor_name = 'x' WHERE id = %s", entry.pk)
    with pytest.raises(CommandError, match=f"position 7, entry {entry.pk}"):
        said("verify")


def test_the_command_seals_and_anchors_at_once(world: World) -> None:
    assert "Anchored at" in said("seal")
    assert verify().unsealed == 0


def test_the_command_gives_the_public_key(world: World) -> None:
    assert "BEGIN PUBLIC KEY" in said("key")
    assert "PRIVATE" not in said("key")


def lines_of(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said("export", *arguments).splitlines()]


def test_an_export_gives_what_is_asked_for_and_is_noted(sealed: World, client: Client) -> None:
    client.force_login(sealed.technician)
    report = DiagnosticReport.objects.get(pk=sealed.reported().pk)
    client.get(f"/cases/{report.pk}/")
    client.get("/worklist/?show=all")
    about = lines_of("--patient", str(sealed.patient.pk))
    assert {"report.read", "worklist.listed"} <= {line["action"] for line in about}
    assert str(sealed.other_patient.pk) not in {line["patient"] for line in about}
    by = lines_of("--person", str(sealed.technician.pk))
    assert {line["actor"]["id"] for line in by} == {str(sealed.technician.pk)}
    assert not lines_of("--person", str(sealed.technician.pk), "--until", "2020-01-01")
    assert Entry.objects.filter(action="audit.exported").count() == 3


def test_an_exported_line_has_all_that_its_digest_covers(sealed: World) -> None:
    from hospital.audit import chain, selectors

    entry = at(2)
    data = selectors.as_data(entry, selectors.seal_of(entry))
    moment, told = datetime.fromisoformat, data["seal"]
    seal = Seal(position=told["position"], at=moment(told["at"]), told=told["told"])
    again = Entry(
        pk=data["id"],
        at=moment(data["at"]),
        actor_kind=data["actor"]["kind"],
        actor_id=data["actor"]["id"],
        actor_name=data["actor"]["name"],
        action=data["action"],
        subject_type=data["subject"]["type"],
        subject_id=data["subject"]["id"],
        clinic_id=data["clinic"],
        patient_id=data["patient"],
        detail=data["detail"],
    )
    former = Seal.objects.get(position=1).digest
    assert chain.told_by(again, told["salt"]) == told["told"]
    assert chain.digest_of(again, seal, former) == told["digest"]


def test_a_moment_that_is_none_is_refused(world: World) -> None:
    with pytest.raises(CommandError):
        said("export", "--since", "yesterday")


# --- reading leaves a trace --------------------------------------------------------------------


def listed(user: Any) -> list[tuple[str, list[str]]]:
    rows = Entry.objects.filter(actor_id=str(user.pk), action__endswith=".listed").order_by("pk")
    return [(row.action, row.detail["patients"]) for row in rows]


@pytest.mark.parametrize(
    ("who", "address", "action"),
    [
        ("technician", "/worklist/?show=all", "worklist.listed"),
        ("technician", "/worklist/live/?show=all", "worklist.listed"),
        ("technician", "/worklist/?show=all&q=Rahman", "worklist.listed"),
        ("technician", "/api/v1/patients/", "patient.listed"),
        ("technician", "/api/v1/patients/?search=rahman", "patient.listed"),
        ("technician", "/api/v1/specimens/", "specimen.listed"),
        ("technician", "/api/v1/reports/", "report.listed"),
        ("administrator", "/api/v1/portal-access/", "portal_access.listed"),
        ("technician", "/admin/patients/patient/", "patient.listed"),
        ("technician", "/admin/patients/patient/?q=rahman", "patient.listed"),
        ("technician", "/admin/diagnostics/specimen/", "specimen.listed"),
        ("technician", "/admin/diagnostics/fieldimage/", "image.listed"),
        ("technician", "/admin/diagnostics/analysis/", "analysis.listed"),
        ("technician", "/admin/diagnostics/diagnosticreport/", "report.listed"),
        ("administrator", "/admin/patients/invitation/", "invitation.listed"),
        ("administrator", "/admin/patients/portalaccess/", "portal_access.listed"),
        (
            "administrator",
            "/admin/autocomplete/?app_label=diagnostics&model_name=specimen&field_name=patient"
            "&term=rahman",
            "patient.listed",
        ),
    ],
)
def test_whoever_sees_a_list_of_patients_is_noted_with_whom_they_saw(
    world: World, client: Client, who: str, address: str, action: str
) -> None:
    world.reported()
    user = getattr(world, who)
    client.force_login(user)
    assert client.get(address).status_code == 200
    assert listed(user) == [(action, [str(world.patient.pk)])]


def test_a_list_that_refreshes_itself_is_noted_once_and_newcomers_by_themselves(
    world: World, client: Client
) -> None:
    from tests.world import _patient, _specimen

    world.reported()
    client.force_login(world.technician)
    for _ in range(5):
        client.get("/worklist/live/?show=all")
    assert len(listed(world.technician)) == 1
    another = _patient(world.clinic, "N-2", "Sen", "Mira")
    world.receive(seed=5, specimen=_specimen(another, "N-2026-0002"))
    client.get("/worklist/live/?show=all")
    assert listed(world.technician)[1:] == [("worklist.listed", [str(another.pk)])]


def test_an_empty_list_leaves_no_trace(world: World, client: Client) -> None:
    client.force_login(world.technician)
    client.get("/api/v1/patients/?search=nobody")
    assert not listed(world.technician)


def test_whoever_reads_one_specimen_over_the_api_is_noted(world: World, client: Client) -> None:
    client.force_login(world.technician)
    client.get(f"/api/v1/specimens/{world.specimen.pk}/")
    assert Entry.objects.filter(action="specimen.read", patient_id=world.patient.pk).exists()


def test_an_administrator_sees_in_the_trail_whether_an_entry_is_sealed(
    world: World, client: Client
) -> None:
    client.force_login(world.administrator)
    entry = Entry.objects.filter(clinic_id=world.clinic.pk).first()
    assert entry is not None
    page = client.get(f"/admin/audit/entry/{entry.pk}/change/").content.decode()
    assert "Not sealed yet" in page
    sealing.seal()
    page = client.get(f"/admin/audit/entry/{entry.pk}/change/").content.decode()
    assert Seal.objects.get(pk=entry.pk).digest in page
