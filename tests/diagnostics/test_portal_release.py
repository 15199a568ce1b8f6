"""Promises about release: what the clinic ruled and the family wished, everywhere alike."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from diagnostics.models import (
    ConclusionGroup,
    DiagnosticReport,
    FieldImage,
    ReleaseRule,
    ReleaseWay,
    ReleaseWish,
    Wish,
)
from diagnostics.selectors import portal_reports
from diagnostics.services import contacts, release
from hospital.accounts.models import User
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden
from hospital.live.models import Event
from tests.hands import page, send
from tests.world import BENIGN, SETUP, SURE, UNSURE, World, add_specimen, look_and_sign

pytestmark = pytest.mark.django_db


def signed(world: World, conclusion: str = "pre_b") -> DiagnosticReport:
    report = world.reported()
    return look_and_sign(world.haematologist, report, conclusion)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def reads(world: World, report: DiagnosticReport) -> bool:
    """Whether the guardian reads it: by the page, its live part, the PDF and the pictures alike."""
    image = FieldImage.objects.filter(specimen=report.specimen).first()
    assert image is not None
    FieldImage.objects.filter(pk=image.pk).update(state="accepted")
    client, args = client_of(world.guardian), [report.pk]
    picture = reverse("portal-picture", args=[report.pk, image.pk, "original"])
    pages = ["portal-report", "portal-report-live", "portal-pdf"]
    answers = [client.get(reverse(name, args=args)).status_code for name in pages]
    answers.append(client.get(picture).status_code)
    listed = f"report-{report.pk}" in client.get(reverse("portal")).content.decode()
    assert len({*answers, 200 if listed else 404}) == 1, answers
    return listed


def told_on_socket(world: World, since: int) -> bool:
    topic = f"patient.{world.patient.pk}"
    return Event.objects.filter(pk__gt=since, topic=topic).exists()


def last_event() -> int:
    return Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def wish(world: World, what: str) -> None:
    release.set_wish(actor=SETUP, patient=world.patient, wish=what)


# --- the clinic's rules -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "group"),
    [(BENIGN, "benign"), (SURE, "malignant"), (UNSURE, "undetermined")],
)
def test_an_unsigned_result_is_shown_only_where_its_own_group_is_shown_at_once(
    world: World, probabilities: dict[str, float], group: str
) -> None:
    world.release(ReleaseWay.AT_ONCE, group=ConclusionGroup.BENIGN)
    report = world.reported(probabilities)
    assert release.group_of(report) == group
    assert reads(world, report) is (group == "benign")


def test_the_rule_for_the_conclusion_goes_before_the_one_for_any(world: World) -> None:
    world.release(ReleaseWay.AFTER_CALL, group=ConclusionGroup.MALIGNANT)
    assert not reads(world, signed(world, "pre_b"))


def test_where_a_clinic_says_nothing_the_signature_opens(world: World) -> None:
    ReleaseRule.objects.all().delete()
    report = world.reported()
    assert not reads(world, report)
    assert reads(world, signed(world))


def test_after_some_hours_whoever_opens_the_page_sees_it_without_any_sweep(world: World) -> None:
    world.release(ReleaseWay.AFTER_HOURS, hours=48)
    report, since = signed(world), last_event()
    assert not reads(world, report)
    with time_machine.travel(timezone.now() + timedelta(hours=47, minutes=59)):
        assert not reads(world, report)
        assert release.sweep() == {"released": 0}
    with time_machine.travel(timezone.now() + timedelta(hours=48, minutes=1)):
        assert reads(world, report)
        assert release.sweep() == {"released": 1}
        assert release.sweep() == {"released": 0}
    assert told_on_socket(world, since)
    assert Entry.objects.filter(action="report.released").count() == 1


def test_after_the_call_the_mark_opens_it_and_says_who_and_when(world: World) -> None:
    world.release(ReleaseWay.AFTER_CALL)
    report, since = signed(world), last_event()
    assert not reads(world, report)
    assert not told_on_socket(world, since)
    call = {"relation": "guardian", "name": "Nadia Rahman", "outcome": "reached"}
    address = reverse("case-contact", args=[report.pk])
    client_of(world.haematologist).post(address, {**call, "value": report.conclusion})
    assert reads(world, report)
    assert told_on_socket(world, since)
    entry = Entry.objects.get(action="report.told")
    assert entry.actor_name == "Hana Sato"
    told = release.told(report)
    assert told is not None
    assert (told.by, told.name) == (world.haematologist, "Nadia Rahman")


@pytest.mark.parametrize(
    "call",
    [{"outcome": "unreached"}, {"relation": "clinician", "outcome": "confirmed"}],
    ids=["nobody reached", "a clinician, not the family"],
)
def test_a_call_that_did_not_reach_the_family_opens_nothing(
    world: World, call: dict[str, str]
) -> None:
    world.release(ReleaseWay.AFTER_CALL)
    report = signed(world)
    world.call(report, **call)
    assert not reads(world, report)


def test_an_unsigned_result_waits_for_signature_and_call(world: World) -> None:
    world.release(ReleaseWay.AFTER_CALL)
    report = world.reported()
    with pytest.raises(Conflict) as refused:
        world.call(report)
    assert refused.value.code == "not_signed"


def test_families_are_told_by_who_may(world: World) -> None:
    report = signed(world)
    call = contacts.Call(relation="guardian", outcome="reached", name="Nadia Rahman")
    for who in (world.technician, world.outsider, world.administrator, world.guardian):
        with pytest.raises(Forbidden):
            contacts.note(user=who, report=report, value=report.conclusion, call=call)


def test_what_was_shown_at_once_waits_for_the_call_when_the_reader_finds_worse(
    world: World,
) -> None:
    world.at_once()
    world.release(ReleaseWay.AFTER_CALL, group=ConclusionGroup.MALIGNANT)
    report = world.reported(BENIGN)
    assert reads(world, report)
    since = last_event()
    report = look_and_sign(world.haematologist, report, "pro_b")
    assert not reads(world, report)
    assert told_on_socket(world, since), "the open page must let go of it"


# --- changing the rules -------------------------------------------------------------------------


def test_a_new_rule_holds_at_once_for_what_waits(world: World) -> None:
    world.release(ReleaseWay.AFTER_CALL)
    report, since = signed(world), last_event()
    world.release(ReleaseWay.ON_SIGNATURE)
    assert reads(world, report)
    assert told_on_socket(world, since)


def test_a_stricter_rule_takes_no_signed_report_away(world: World) -> None:
    report = signed(world)
    world.release(ReleaseWay.AFTER_CALL)
    assert reads(world, report)
    world.receive(6)  # a picture after the signature
    wish(world, Wish.AFTER_CALL)
    assert reads(world, report)


def test_a_rule_that_is_dropped_leaves_the_general_one(world: World) -> None:
    world.release(ReleaseWay.AFTER_CALL, group=ConclusionGroup.MALIGNANT)
    report = signed(world)
    rule = ReleaseRule.objects.get(group=ConclusionGroup.MALIGNANT)
    release.drop_rule(actor=SETUP, rule=rule)
    assert reads(world, report)


def test_another_clinics_rule_changes_nothing_here(world: World) -> None:
    release.set_rule(
        actor=SETUP, clinic=world.other_clinic, group=ConclusionGroup.ANY, way=ReleaseWay.AT_ONCE
    )
    assert not reads(world, world.reported())


@pytest.mark.parametrize(("way", "hours"), [("after_hours", None), ("on_signature", 4)])
def test_hours_stand_where_they_belong(world: World, way: str, hours: int | None) -> None:
    with pytest.raises(ValidationError):
        world.release(way, hours=hours)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReleaseRule.objects.update(way=way, hours=hours)


@pytest.mark.parametrize(("model", "field"), [(ReleaseRule, "way"), (ReleaseWish, "wish")])
def test_the_database_refuses_an_unknown_word(world: World, model: Any, field: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(**{field: "nonsense"})


# --- the family's wish --------------------------------------------------------------------------


def test_a_family_that_wants_to_be_called_first_waits_for_the_call(world: World) -> None:
    wish(world, Wish.AFTER_CALL)
    world.at_once()
    report = signed(world)
    assert not reads(world, report)
    world.call(report)
    assert reads(world, report)


def test_not_in_the_portal_hides_what_was_there_until_it_is_wished_for_again(world: World) -> None:
    report = signed(world)
    since = last_event()
    wish(world, Wish.NOT_IN_PORTAL)
    assert not reads(world, report)
    assert told_on_socket(world, since)
    world.call(report)
    assert not reads(world, report)
    wish(world, Wish.AS_RULE)
    assert reads(world, report)


def test_a_wish_speaks_for_one_patient_only(world: World) -> None:
    wish(world, Wish.NOT_IN_PORTAL)
    world.succeed(world.receive(5, specimen=world.other_specimen))
    report = DiagnosticReport.objects.get(specimen=world.other_specimen)
    look_and_sign(world.outsider, report, "benign")
    assert portal_reports(world.stranger).exists()


def test_rules_and_wishes_lock_reports_in_the_order_of_the_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        specimen = add_specimen(world.patient, f"N-2026-80{number:02d}")
        world.succeed(world.receive(20 + number, specimen=specimen))
    locked: list[Any] = []
    monkeypatch.setattr(release, "_resettle_one", lambda pk: bool(locked.append(pk)))
    order = list(DiagnosticReport.objects.order_by("specimen_id").values_list("pk", flat=True))
    wish(world, Wish.AFTER_CALL)
    world.release(ReleaseWay.AFTER_CALL)
    assert locked == order * 2


# --- staff --------------------------------------------------------------------------------------


def test_the_case_page_says_when_and_why(world: World) -> None:
    world.release(ReleaseWay.AFTER_HOURS, hours=12)
    report = signed(world)
    address = reverse("case", args=[report.pk])
    client = client_of(world.haematologist)
    text = client.get(address).content.decode()
    assert "In the portal from" in text
    assert "12 hours after the signature" in text
    world.release(ReleaseWay.AFTER_CALL)
    assert "after the family was told" in client.get(address).content.decode()
    world.call(report)
    text = client.get(address).content.decode()
    assert "In the portal since" in text
    assert "Nadia Rahman was told by Hana Sato" in text
    wish(world, Wish.NOT_IN_PORTAL)
    assert "does not want results in the portal" in client.get(address).content.decode()


def test_an_administrator_edits_the_rules_of_their_own_clinic(world: World) -> None:
    rule = {"group": "malignant", "way": "after_hours", "hours": "72"}
    name = "diagnostics_releaserule"
    send(world.administrator, f"{name}_add", clinic=world.clinic.pk, **rule)
    made = ReleaseRule.objects.get(clinic=world.clinic, group="malignant")
    assert (made.way, made.hours) == ("after_hours", 72)
    send(world.administrator, f"{name}_add", clinic=world.other_clinic.pk, **rule)
    assert not ReleaseRule.objects.filter(clinic=world.other_clinic, group="malignant").exists()
    send(world.administrator, f"{name}_delete", made.pk, post="yes")
    assert not ReleaseRule.objects.filter(pk=made.pk).exists()
    actions = set(Entry.objects.values_list("action", flat=True))
    assert {"release_rule.changed", "release_rule.dropped"} <= actions
    assert page(world.haematologist, f"{name}_changelist").status_code == 403


def test_an_administrator_notes_a_familys_wish(world: World) -> None:
    name, pk = "diagnostics_releasewish_change", world.patient.pk
    send(world.administrator, name, pk, wish="not_in_portal")
    assert release.wish_of(world.patient.pk) == Wish.NOT_IN_PORTAL
    assert Entry.objects.filter(action="release_wish.changed").latest("id").detail == {
        "wish": "not_in_portal"
    }
