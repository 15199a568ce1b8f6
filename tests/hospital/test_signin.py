"""Promises of the door: who may come in, what wrong tries cost, what a second step asks."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hospital.accounts.models import Lockout, Tried, User
from hospital.accounts.signin import lockouts
from hospital.accounts.signin.identity import confirm_identity
from hospital.accounts.tasks import forget_old_sign_ins
from hospital.audit.models import Entry
from hospital.base.problems import Forbidden
from tests.hands import page, send, signed_in
from tests.world import PASSWORD, World

pytestmark = pytest.mark.django_db

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
WAIT = "Too many wrong tries"


def knock(
    username: str, password: str = PASSWORD, *, client: Client | None = None, **more: Any
) -> Any:
    """Fill in the page's form."""
    fields = {"username": username, "password": password}
    return (client or Client()).post(reverse("login"), {**fields, **more})


def with_app(user: User) -> User:
    """The user, with an authenticator app."""
    TOTP.activate(user, SECRET)
    return user


def code(*, ahead: int = 0) -> str:
    """What the app shows now, or `ahead` half minutes from now."""
    return format_hotp_value(hotp_value(SECRET, int(time.time()) // 30 + ahead))


def lock(username: str, *, tries: int = 5) -> Any:
    """Somebody who does not know the password tries again and again."""
    for _ in range(tries):
        answer = knock(username, "not the password at all")
    return answer


# --- name and password ------------------------------------------------------------------------


def test_everybody_lands_on_their_own_page(world: World) -> None:
    for user, first in [
        (world.haematologist, "worklist"),
        (world.administrator, "admin:index"),
        (world.guardian, "portal"),
    ]:
        client = Client()
        assert knock(user.username, client=client).headers["Location"] == reverse("home")
        assert client.get(reverse("home")).headers["Location"] == reverse(first)


def test_one_lands_where_one_wanted_to_go_but_never_on_another_site(world: World) -> None:
    wanted = knock("technician", next="/worklist/?show=all")
    assert wanted.headers["Location"] == "/worklist/?show=all"
    assert knock("technician", next="https://evil.example/").headers["Location"] == "/"


def test_there_is_one_door_for_staff_too(world: World) -> None:
    """The admin's own would ask for no second step."""
    answer = Client().post("/admin/login/", {"username": "superuser", "password": PASSWORD})
    assert answer.headers["Location"].startswith("/login/")
    assert not answer.wsgi_request.user.is_authenticated


def test_a_wrong_name_and_a_wrong_password_are_answered_alike(world: World) -> None:
    told = [
        knock(*who).context["form"].non_field_errors()
        for who in [("technician", "wrong"), ("nobody-at-all", "wrong")]
    ]
    assert told[0] == told[1]
    assert told[0]


def test_a_closed_account_is_answered_like_one_that_does_not_exist(world: World) -> None:
    User.objects.filter(pk=world.technician.pk).update(is_active=False)
    assert "not right" in knock("technician").content.decode()


# --- wrong tries ------------------------------------------------------------------------------


def test_five_wrong_tries_make_an_account_wait_even_for_the_right_password(world: World) -> None:
    lock("haematologist")
    answer = knock("haematologist")
    assert WAIT in answer.content.decode()
    assert not answer.wsgi_request.user.is_authenticated
    assert knock("technician").status_code == 302
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert knock("haematologist").status_code == 302


def test_a_name_that_nobody_has_waits_just_the_same(world: World) -> None:
    lock("nobody-at-all")
    assert WAIT in knock("nobody-at-all").content.decode()
    row = Lockout.objects.get(user=None, kind=Tried.ACCOUNT)
    assert "nobody" not in row.key, "a password typed into the wrong field would stand there"


def test_every_further_wrong_try_doubles_the_waiting_up_to_an_hour(world: World) -> None:
    lock("haematologist")
    now, waits = timezone.now(), []
    for _ in range(8):
        row = Lockout.objects.get(user=world.haematologist)
        assert row.locked_until
        waits.append(round((row.locked_until - row.last_failed_at).total_seconds() / 60))
        now = row.locked_until + timedelta(seconds=1)
        with time_machine.travel(now):
            knock("haematologist", "still not")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_address_that_tries_many_names_waits_too(world: World, settings: Any) -> None:
    settings.SIGNIN_TRIES_PER_ADDRESS = 8
    for n in range(8):
        knock(f"name-{n}", "wrong")
    assert WAIT in knock("technician").content.decode()
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert knock("technician", client=elsewhere).status_code == 302


def test_signing_in_forgets_the_wrong_tries_and_a_day_does(world: World) -> None:
    lock("haematologist", tries=4)
    knock("haematologist")
    lock("haematologist", tries=4)
    assert knock("haematologist").status_code == 302
    lock("haematologist", tries=4)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        lock("haematologist", tries=4)
        assert knock("haematologist").status_code == 302


def test_a_lockout_is_in_the_trail_and_an_administrator_sees_and_lifts_it(world: World) -> None:
    lock("haematologist")
    locked = Entry.objects.get(action="account.locked")
    assert (locked.subject_id, locked.clinic_id) == (
        str(world.haematologist.pk),
        world.clinic.pk,
    )
    assert Entry.objects.filter(action="sign_in.refused").count() == 5
    row = Lockout.objects.get(user=world.haematologist)
    text = page(world.administrator, "accounts_lockout_changelist").content.decode()
    assert "Hana Sato" in text
    assert send(world.technician, "accounts_lockout_lift", row.pk).status_code == 403
    assert knock("haematologist").status_code == 200
    send(world.administrator, "accounts_lockout_lift", row.pk)
    assert knock("haematologist").status_code == 302
    assert Entry.objects.filter(action="account.unlocked").exists()


def test_an_administrator_sees_the_lockouts_of_their_portals_readers_only(world: World) -> None:
    lock("guardian")
    lock("stranger")
    text = page(world.administrator, "accounts_lockout_changelist").content.decode()
    assert "Nadia Rahman" in text
    assert "Eze Okafor" not in text


def test_old_wrong_tries_are_tidied_away(world: World) -> None:
    lock("nobody-at-all", tries=2)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        forget_old_sign_ins()
    assert not Lockout.objects.exists()


# --- the second step --------------------------------------------------------------------------


def test_a_password_alone_does_not_open_an_account_with_an_app(world: World) -> None:
    with_app(world.haematologist)
    client = Client()
    assert knock("haematologist", client=client).headers["Location"] == "/login/code/"
    assert client.get("/worklist/").headers["Location"].startswith("/login/")
    asked = client.get("/login/code/")
    assert "One more step" in asked.content.decode()
    assert client.post("/login/code/", {"code": "000000"}).status_code == 200
    assert client.post("/login/code/", {"code": code()}).headers["Location"] == "/"
    assert client.get("/worklist/").status_code == 200


def test_a_code_is_good_once_and_an_older_one_no_longer(world: World) -> None:
    with_app(world.haematologist)
    now = code()
    confirm_identity(world.haematologist, code=now)
    confirm_identity(world.haematologist, code=code(ahead=1))
    for used in (now, code(ahead=1)):
        with pytest.raises(Forbidden, match="newest"):
            confirm_identity(world.haematologist, code=used)


def test_a_recovery_code_stands_in_for_a_lost_phone_once(world: World) -> None:
    with_app(world.haematologist)
    one = RecoveryCodes.activate(world.haematologist).get_unused_codes()[0]
    for expected in (302, 200):
        client = Client()
        knock("haematologist", client=client)
        assert client.post("/login/code/", {"code": one}).status_code == expected


def test_whoever_knows_the_password_cannot_guess_the_code(world: World) -> None:
    """Nor start anew with the password after each few."""
    with_app(world.haematologist)
    for _ in range(5):
        client = Client()
        knock("haematologist", client=client)
        client.post("/login/code/", {"code": "000000"})
    assert WAIT in knock("haematologist").content.decode()
    assert WAIT in client.post("/login/code/", {"code": code()}).content.decode()


def test_one_may_give_up_between_the_two_steps(world: World) -> None:
    with_app(world.haematologist)
    client = Client()
    knock("haematologist", client=client)
    client.post(reverse("logout"))
    assert client.get("/login/").status_code == 200
    assert client.get("/login/code/").status_code == 302


def test_an_app_is_set_up_with_its_first_code_and_gives_recovery_codes(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    elsewhere = signed_in(world.haematologist)
    client = Client()
    knock("haematologist", client=client)
    asked = client.get(reverse("mfa_activate_totp"))
    secret = asked.context["form"].secret
    shown = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    with django_capture_on_commit_callbacks(execute=True):
        done = client.post(reverse("mfa_activate_totp"), {"code": shown})
    assert done.headers["Location"] == reverse("mfa_view_recovery_codes")
    codes = client.get(done.headers["Location"]).content.decode()
    kept = Authenticator.objects.get(user=world.haematologist, type="totp")
    assert secret not in str(kept.data), "the database holds it sealed"
    assert (
        RecoveryCodes(
            Authenticator.objects.get(user=world.haematologist, type="recovery_codes")
        ).get_unused_codes()[0]
        in codes
    )
    assert Entry.objects.filter(action="second_factor.added").exists()
    assert elsewhere.get("/worklist/").status_code == 302, "opened without: signed out"
    assert client.get("/worklist/").status_code == 200


def test_what_protects_an_account_is_changed_only_by_who_was_just_asked(world: World) -> None:
    with_app(world.haematologist)
    client = signed_in(world.haematologist)
    answer = client.get(reverse("mfa_deactivate_totp"))
    assert answer.headers["Location"].startswith("/login/again/")
    client.post("/login/again/", {"password": "wrong", "next": "/account/"})
    assert client.get(reverse("mfa_deactivate_totp")).status_code == 302
    client.post("/login/again/", {"password": PASSWORD, "next": "/account/"})
    assert client.get(reverse("mfa_deactivate_totp")).status_code == 200


# --- staff must have one ----------------------------------------------------------------------


def test_staff_without_a_second_step_are_led_to_one_before_anything_else(
    world: World, settings: Any
) -> None:
    settings.STAFF_MFA_REQUIRED = True
    client = signed_in(world.haematologist)
    for address in ("/worklist/", "/admin/", "/portal/", f"/cases/{world.specimen.pk}/"):
        assert client.get(address).headers["Location"] == "/account/"
    api = client.get("/api/v1/reports/")
    assert (api.status_code, api.json()["code"]) == (403, "second_factor_required")
    assert "asks staff for a second step" in client.get("/account/").content.decode()
    assert client.get(reverse("password")).status_code == 302
    with_app(world.haematologist)
    assert client.get("/worklist/").status_code == 200
    assert client.get("/api/v1/reports/").status_code == 200


def test_patients_and_guardians_need_none(world: World, settings: Any) -> None:
    settings.STAFF_MFA_REQUIRED = True
    assert signed_in(world.guardian).get("/portal/").status_code == 200


def test_an_administrator_takes_lost_second_steps_off_and_the_sessions_with_them(
    world: World,
) -> None:
    with_app(world.haematologist)
    theirs = signed_in(world.haematologist)
    send(world.administrator, "accounts_user_reset", world.haematologist.pk)
    assert not Authenticator.objects.filter(user=world.haematologist).exists()
    assert theirs.get("/worklist/").status_code == 302
    assert Entry.objects.get(action="second_factor.reset").detail == {"removed": ["totp"]}


# --- being asked again ------------------------------------------------------------------------


def test_identity_is_confirmed_by_password_or_code_and_wrong_ones_count(world: World) -> None:
    with_app(world.haematologist)
    confirm_identity(world.haematologist, password=PASSWORD)
    for wrong in ({"password": "no"}, {"code": "000000"}, {}):
        with pytest.raises(Forbidden):
            confirm_identity(world.haematologist, **wrong)
    lock("haematologist", tries=2)
    with pytest.raises(lockouts.LockedOut) as locked:
        confirm_identity(world.haematologist, password=PASSWORD)
    assert (locked.value.status, locked.value.code) == (429, "locked_out")
    assert 0 < (locked.value.retry_after or 0) <= 60
