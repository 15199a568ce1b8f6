"""Promises of `manage.py audit`: it says whether the trail is whole, and gives it out."""

import io
import json
from datetime import datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from diagnostics.models import DiagnosticReport
from hospital.audit.models import Entry, Seal
from hospital.audit.verification import verify
from tests.hospital.audit.conftest import at, tamper
from tests.world import World


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
