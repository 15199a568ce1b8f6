"""Promises of a session: seen, ended, over in time, and gone at once with what it rested on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import sync_to_async
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from diagnostics.models import ConclusionGroup, ReleaseWay
from diagnostics.services import release
from hospital.accounts.models import SignIn
from hospital.accounts.services import (
    grant_role,
    revoke_role,
    save_account,
    set_password,
)
from hospital.accounts.signin import factors, sessions
from hospital.accounts.tasks import forget_old_sign_ins
from hospital.audit.models import Entry
from hospital.live import pusher
from patients.services import grant_portal_access, revoke_portal_access
from tests.hands import send, signed_in
from tests.hospital.sockets import close_code, is_event, socket, until
from tests.world import PASSWORD, SETUP, World

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)


def at_the_door(username: str, *, browser: str = FIREFOX, address: str = "192.0.2.77") -> Client:
    client = Client(HTTP_USER_AGENT=browser, REMOTE_ADDR=address)
    client.post(reverse("login"), {"username": username, "password": PASSWORD})
    return client


def is_in(client: Client, path: str = "/worklist/") -> bool:
    return client.get(path).status_code == 200


def test_one_sees_where_one_is_signed_in_and_signs_out_there(world: World) -> None:
    here = at_the_door("haematologist")
    there = at_the_door("haematologist", browser=IPHONE, address="2001:db8:9:1::5")
    at_the_door("technician")
    text = here.get("/account/").content.decode()
    assert text.count("Firefox, Linux") == 1
    assert "192.0.2.0/24" in text
    assert "192.0.2.77" not in text, "a network is enough to recognise"
    assert "Safari, iPhone" in text
    assert "2001:db8:9::/48" in text
    other = SignIn.objects.get(device="Safari, iPhone")
    here.post(reverse("session-end", args=[other.pk]))
    assert not is_in(there)
    assert is_in(here)


def test_nobody_signs_somebody_else_out(world: World) -> None:
    theirs = at_the_door("technician")
    mine = at_the_door("haematologist")
    pk = SignIn.objects.get(user=world.technician).pk
    assert mine.post(reverse("session-end", args=[pk])).status_code == 404
    assert is_in(theirs)


def test_signing_out_everywhere_includes_here(world: World) -> None:
    clients = [at_the_door("haematologist") for _ in range(3)]
    clients[0].post(reverse("sessions-end"))
    assert not any(is_in(client) for client in clients)
    assert Entry.objects.get(action="sessions.ended").detail == {"count": 3}


def test_a_session_is_over_when_nobody_clicks(world: World, settings: Any) -> None:
    settings.SESSION_IDLE_MINUTES = 30
    client, start = at_the_door("haematologist"), timezone.now()
    for minutes in (20, 40, 60):
        with time_machine.travel(start + timedelta(minutes=minutes)):
            assert is_in(client)
    with time_machine.travel(start + timedelta(minutes=91)):
        assert not is_in(client)
        assert client.get("/api/v1/reports/").status_code == 401


def test_a_page_that_refreshes_itself_is_nobodys_click(world: World, settings: Any) -> None:
    settings.SESSION_IDLE_MINUTES = 30
    client, start = at_the_door("haematologist"), timezone.now()
    with time_machine.travel(start + timedelta(minutes=20)):
        assert is_in(client, "/worklist/live/")
    with time_machine.travel(start + timedelta(minutes=31)):
        assert not is_in(client)


def test_a_session_is_over_after_so_many_hours_however_busy(world: World, settings: Any) -> None:
    settings.SESSION_HOURS = 2
    client, start = at_the_door("haematologist"), timezone.now()
    for minutes in (30, 60, 90, 119):
        with time_machine.travel(start + timedelta(minutes=minutes)):
            assert is_in(client)
    with time_machine.travel(start + timedelta(minutes=121)):
        assert not is_in(client)


def test_the_cookie_goes_with_the_browser(world: World) -> None:
    client = at_the_door("haematologist")
    assert client.cookies["leukolens_session"]["max-age"] == ""


def test_a_new_password_of_ones_own_keeps_this_device_only(world: World) -> None:
    here, there = at_the_door("haematologist"), at_the_door("haematologist")
    new = {
        "new_password1": "quite another pass phrase",
        "new_password2": "quite another pass phrase",
    }
    wrong = here.post(reverse("password"), {"old_password": "wrong", **new})
    assert "not right" in wrong.content.decode()
    here.post(reverse("password"), {"old_password": PASSWORD, **new})
    assert is_in(here)
    assert not is_in(there)
    assert SignIn.objects.filter(user=world.haematologist).count() == 1
    assert "This device" in here.get("/account/").content.decode()


def password_set(world: World) -> None:
    set_password(actor=SETUP, user=world.haematologist, password="quite another pass phrase")


def role_revoked(world: World) -> None:
    grant_role(actor=SETUP, user=world.haematologist, clinic=world.clinic, role="technician")
    revoke_role(actor=SETUP, membership=world.haematologist.memberships.get(role="haematologist"))


def account_closed(world: World) -> None:
    world.haematologist.is_active = False
    save_account(actor=SETUP, user=world.haematologist)


def shut_out(world: World) -> None:
    send(world.administrator, "accounts_user_shut", world.haematologist.pk)


def factors_taken(world: World) -> None:
    factors.remove_all(actor=SETUP, user=world.haematologist)


LOSSES = [password_set, role_revoked, account_closed, shut_out, factors_taken]


@pytest.mark.parametrize("loss", LOSSES)
def test_sessions_end_with_what_they_rested_on(world: World, loss: Callable[[World], None]) -> None:
    theirs, others = at_the_door("haematologist"), at_the_door("technician")
    loss(world)
    assert not is_in(theirs)
    assert is_in(others)


def test_sessions_of_a_guardian_end_with_the_access(world: World) -> None:
    client = at_the_door("guardian")
    revoke_portal_access(actor=SETUP, access=world.guardian.portal_access.get())
    assert not is_in(client, "/portal/")


def test_what_is_over_is_tidied_away(world: World) -> None:
    at_the_door("haematologist")
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert not sessions.sessions_of(world.haematologist)
        assert forget_old_sign_ins()["sessions"] == 1
    assert not SignIn.objects.exists()


# --- sockets ----------------------------------------------------------------------------------


@pytest.fixture
def slow_tick(settings: Any) -> None:
    """Sockets that look for themselves too late to help."""
    settings.LIVE_TICK_SECONDS = 600


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("loss", LOSSES)
async def test_an_open_page_is_shut_at_once_not_at_the_next_tick(
    world: World, slow_tick: None, loss: Callable[[World], None]
) -> None:
    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        await sync_to_async(loss)(world)
        await sync_to_async(pusher.flush)()
        assert await close_code(page) == 4403


@pytest.mark.django_db(transaction=True)
async def test_signing_out_on_one_device_shuts_its_pages_and_no_others(
    world: World, slow_tick: None
) -> None:
    async with (
        socket("/ws/clinic/", world.haematologist) as there,
        socket("/ws/clinic/", world.haematologist) as here,
    ):
        for page in (there, here):
            await page.connect()
            await until(page, lambda m: "hello" in m)
        first = await SignIn.objects.select_related("user").order_by("at").afirst()
        assert first
        await sync_to_async(sessions.end)(actor=SETUP, sign_in=first)
        await sync_to_async(pusher.flush)()
        assert await close_code(there) == 4403
        assert await here.receive_nothing()


@pytest.mark.django_db(transaction=True)
async def test_a_new_access_is_heard_at_once(world: World, slow_tick: None) -> None:
    """Without opening the page again."""
    await sync_to_async(release.set_rule)(
        actor=SETUP,
        clinic=world.other_clinic,
        group=ConclusionGroup.ANY,
        way=ReleaseWay.AT_ONCE,
    )
    async with socket("/ws/portal/", world.guardian) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        await sync_to_async(grant_portal_access)(
            actor=SETUP, patient=world.other_patient, user=world.guardian, relation="guardian"
        )
        await sync_to_async(pusher.flush)()
        image = await sync_to_async(world.receive)(3, specimen=world.other_specimen)
        await sync_to_async(world.succeed)(image)
        assert await until(page, is_event)


@pytest.mark.django_db(transaction=True)
async def test_a_session_that_is_over_has_no_socket(world: World, settings: Any) -> None:
    settings.SESSION_HOURS = 0
    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        assert await close_code(page) == 4401


@pytest.mark.django_db(transaction=True)
async def test_staff_without_a_second_step_have_no_socket(world: World, settings: Any) -> None:
    settings.STAFF_MFA_REQUIRED = True
    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        assert await close_code(page) == 4401


def test_signed_in_is_noted_for_every_door(world: World) -> None:
    signed_in(world.technician)
    assert SignIn.objects.get(user=world.technician).device == "Unknown device"
    assert Entry.objects.filter(action="session.opened").count() == 1
