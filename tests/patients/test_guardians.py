"""Promises about guardians: who reads about a child at which age, until when, and nobody longer."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from diagnostics.models import DiagnosticReport, FieldImage
from hospital.accounts.models import User
from hospital.accounts.services import open_account
from hospital.base.problems import Conflict
from hospital.live.models import Event
from patients.ages import AgeBand, band_of
from patients.models import AccessStanding, Patient, PortalAccess, Relation
from patients.selectors import live_topics, portal_access_visible_to, standing
from patients.services import grant_portal_access, register_patient, revoke_portal_access
from tests.hands import page
from tests.hospital.sockets import close_code, socket, until
from tests.world import PASSWORD, SETUP, World, look_and_sign

BORN = date(2019, 4, 2)  # of the world's patient


@pytest.fixture
def report(world: World) -> DiagnosticReport:
    """Signed and released, with a picture that the portal shows."""
    report = world.reported()
    FieldImage.objects.update(state="accepted")
    return look_and_sign(world.haematologist, report, "benign")


def account(username: str) -> User:
    return open_account(actor=SETUP, username=username, password=PASSWORD, full_name=username)


def link(world: World, username: str, relation: str, **more: Any) -> User:
    user = account(username)
    grant_portal_access(actor=SETUP, patient=world.patient, user=user, relation=relation, **more)
    return user


def sights(user: User, report: DiagnosticReport) -> set[int]:
    """What the user gets at every address of the portal that shows the report."""
    client, args = Client(), [report.pk]
    client.force_login(user)
    image = FieldImage.objects.get(specimen=report.specimen)
    addresses = [reverse(f"portal-{name}", args=args) for name in ("report", "report-live", "pdf")]
    for kind in ("original", "overlay"):
        addresses.append(reverse("portal-picture", args=[report.pk, image.pk, kind]))
    addresses.append(reverse("portal-looked", args=[report.patient_id]))
    return {client.get(address).status_code for address in addresses}


def on(day: date) -> Any:
    return time_machine.travel(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


async def pushed(topic: str) -> None:
    """What the pusher does with the newest event; its own thread's loop cannot reach a test's."""
    event = await Event.objects.filter(topic=topic).alast()
    assert event is not None
    message = {"type": "events.happened", "topic": topic, "events": [event.wire()]}
    await get_channel_layer().group_send(topic, message)


# --- ages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("birth", "today", "band"),
    [
        (date(2014, 11, 26), date(2026, 11, 25), AgeBand.CHILD),
        (date(2014, 11, 25), date(2026, 11, 25), AgeBand.YOUTH),
        (date(2008, 11, 26), date(2026, 11, 25), AgeBand.YOUTH),
        (date(2008, 11, 25), date(2026, 11, 25), AgeBand.ADULT),
        (date(2008, 2, 29), date(2026, 2, 28), AgeBand.YOUTH),
        (date(2008, 2, 29), date(2026, 3, 1), AgeBand.ADULT),
        (date(2010, 2, 28), date(2028, 2, 29), AgeBand.ADULT),
        (date(2010, 3, 1), date(2028, 2, 29), AgeBand.YOUTH),
    ],
)
def test_a_band_changes_on_the_birthday(birth: date, today: date, band: AgeBand) -> None:
    assert band_of(birth, today) == band


def test_majority_is_a_setting(settings: Any) -> None:
    settings.MAJORITY_YEARS = 21
    assert band_of(date(2006, 1, 1), date(2026, 11, 25)) == AgeBand.YOUTH


@pytest.mark.parametrize(
    ("day", "guardians", "own"),
    [
        (date(2027, 1, 1), True, False),
        (date(2031, 4, 1), True, False),
        (date(2031, 4, 2), True, True),
        (date(2037, 4, 1), True, True),
        (date(2037, 4, 2), False, True),
    ],
)
def test_who_reads_follows_the_childs_age(
    world: World, report: DiagnosticReport, day: date, guardians: bool, own: bool
) -> None:
    second = link(world, "second", Relation.GUARDIAN)
    child = link(world, "child", Relation.SELF)
    with on(day):
        for user in (world.guardian, second):
            assert sights(user, report) == ({200} if guardians else {404})
            assert bool(live_topics(user)) is guardians
        assert sights(child, report) == ({200} if own else {404})


def test_a_guardian_whose_child_is_of_age_is_told_so_and_shown_nothing(
    world: World, report: DiagnosticReport
) -> None:
    client = Client()
    with on(date(2037, 4, 2)):
        client.force_login(world.guardian)
        text = client.get(reverse("portal")).content.decode()
    assert "is of age now and reads the reports alone" in text
    assert f"report-{report.pk}" not in text


def test_nobody_becomes_the_guardian_of_an_adult(world: World) -> None:
    adult = register_patient(
        actor=SETUP,
        clinic=world.clinic,
        mrn="N-7",
        family_name="Old",
        given_names="Enough",
        birth_date=date(1990, 1, 1),
        sex="male",
    )
    with pytest.raises(Conflict) as refused:
        grant_portal_access(
            actor=SETUP, patient=adult, user=world.guardian, relation=Relation.GUARDIAN
        )
    assert refused.value.code == "patient_of_age"
    grant_portal_access(actor=SETUP, patient=adult, user=world.guardian, relation=Relation.SELF)


# --- ends ---------------------------------------------------------------------------------------


def test_an_access_ends_at_its_date(world: World, report: DiagnosticReport) -> None:
    aunt = link(world, "aunt", Relation.GUARDIAN, expires_at=timezone.now() + timedelta(days=30))
    assert sights(aunt, report) == {200}
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        assert sights(aunt, report) == {404}
        assert sights(world.guardian, report) == {200}


def test_revoking_one_guardian_leaves_the_other(world: World, report: DiagnosticReport) -> None:
    second = link(world, "second", Relation.GUARDIAN)
    access = PortalAccess.objects.get(user=second)
    revoke_portal_access(actor=SETUP, access=access)
    assert sights(second, report) == {404}
    assert sights(world.guardian, report) == {200}


def test_every_access_has_one_standing_the_same_in_memory_and_in_a_query(world: World) -> None:
    now = timezone.now()
    link(world, "expired", Relation.GUARDIAN, expires_at=now - timedelta(days=1))
    link(world, "own", Relation.SELF)
    revoked = link(world, "revoked", Relation.GUARDIAN)
    revoke_portal_access(actor=SETUP, access=PortalAccess.objects.get(user=revoked))
    for day in (date(2027, 1, 1), date(2033, 1, 1), date(2040, 1, 1)):
        with on(day):
            for access in PortalAccess.objects.select_related("patient"):
                same = [
                    s
                    for s in AccessStanding.values
                    if PortalAccess.objects.filter(standing(s), pk=access.pk).exists()
                ]
                assert same == [access.standing]


def test_staff_list_the_guardians_whose_access_ended(world: World) -> None:
    with on(date(2037, 4, 2)):
        name = "patients_portalaccess_changelist"
        text = page(world.administrator, name, standing="of_age").content.decode()
        assert "Ended: the patient is of age" in text
        assert "Nadia Rahman" in text
        assert "Okafor" not in text
        live = page(world.administrator, name, standing="live").content.decode()
        assert "Nadia Rahman" not in live
        rows = portal_access_visible_to(world.administrator).filter(standing("of_age"))
        assert rows.count() == 1


# --- another child ------------------------------------------------------------------------------


def test_the_guardian_of_another_child_sees_nothing(world: World, report: DiagnosticReport) -> None:
    """Also one of the same clinic, and by no address that can be guessed or was overheard."""
    neighbour = account("neighbour")
    child = Patient.objects.create(
        clinic=world.clinic,
        mrn="N-8",
        family_name="Next",
        given_names="Door",
        birth_date=BORN,
        sex="male",
    )
    grant_portal_access(actor=SETUP, patient=child, user=neighbour, relation=Relation.GUARDIAN)
    for user in (world.stranger, neighbour):
        assert sights(user, report) == {404}
        assert f"patient.{report.patient_id}" not in live_topics(user)
        client = Client()
        client.force_login(user)
        assert str(report.pk) not in client.get(reverse("portal")).content.decode()
        for route, args in [
            ("api:report-list", []),
            ("api:report-detail", [report.pk]),
            ("api:report-pdf", [report.pk]),
            ("api:patient-detail", [report.patient_id]),
            ("api:portal-access-list", []),
        ]:
            assert client.get(reverse(route, args=args)).status_code == 403
        for route in ("case", "case-live", "case-pdf"):
            assert client.get(reverse(route, args=[report.pk])).status_code == 404


@pytest.mark.django_db(transaction=True)
async def test_another_childs_socket_stays_silent(world: World) -> None:
    async with socket("/ws/portal/", world.stranger) as wire:
        await wire.connect()
        await until(wire, lambda m: "hello" in m)
        await sync_to_async(world.at_once)()
        await sync_to_async(world.reported)()
        ticks = [await wire.receive_json_from(timeout=5) for _ in range(3)]
        assert all("tick" in message for message in ticks)


@pytest.mark.django_db(transaction=True)
async def test_a_revoked_guardian_loses_the_socket_without_waiting_for_a_tick(
    world: World, settings: Any
) -> None:
    settings.LIVE_TICK_SECONDS = 3600
    async with socket("/ws/portal/", world.guardian) as wire:
        await wire.connect()
        await until(wire, lambda m: "hello" in m)
        access = await world.guardian.portal_access.select_related("patient").aget()
        await sync_to_async(revoke_portal_access)(actor=SETUP, access=access)
        await pushed(f"patient.{world.patient.pk}")
        assert await close_code(wire) == 4403


@pytest.mark.django_db(transaction=True)
async def test_a_guardian_of_two_who_loses_one_is_told_to_look_and_hears_only_of_the_other(
    world: World, settings: Any
) -> None:
    settings.LIVE_TICK_SECONDS = 3600
    await sync_to_async(grant_portal_access)(
        actor=SETUP, patient=world.other_patient, user=world.guardian, relation=Relation.GUARDIAN
    )
    await sync_to_async(world.at_once)()
    async with socket("/ws/portal/", world.guardian) as wire:
        await wire.connect()
        await until(wire, lambda m: "hello" in m)
        access = await PortalAccess.objects.select_related("patient").aget(
            user=world.guardian, patient=world.patient
        )
        await sync_to_async(revoke_portal_access)(actor=SETUP, access=access)
        topic = f"patient.{world.patient.pk}"
        await pushed(topic)
        assert await wire.receive_json_from(timeout=5) == {"reload": True}
        await sync_to_async(world.reported)()
        await pushed(topic)
        assert await wire.receive_nothing(timeout=0.5)
