"""Promises of an invitation: one sheet, one birth date, one reader, and not a word before."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
import segno
import time_machine
import zxingcpp
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from hospital.accounts.models import User
from hospital.audit.models import Entry
from hospital.base.states import IllegalTransition
from patients import invitations
from patients.models import Invitation, InvitationState, PortalAccess, Relation
from tests.hands import page, send, signed_in
from tests.world import PASSWORD, SETUP, World

pytestmark = pytest.mark.django_db

BORN = {"day": "2", "month": "4", "year": "2019"}
WRONG = {**BORN, "year": "2018"}
NEWCOMER = {
    "full_name": "Omar Rahman",
    "username": "omar",
    "password": "three calm words",
    "credential": "",
}


def invited(world: World, **more: Any) -> tuple[Invitation, str]:
    """An invitation to the clinic's patient and its secret."""
    given = {"relation": Relation.GUARDIAN, **more}
    return invitations.issue(actor=SETUP, patient=world.patient, **given)


def followed(secret: str, client: Client | None = None) -> Client:
    """A browser that has scanned the sheet."""
    client = client or Client()
    answer = client.get(reverse("invitation-follow", args=[secret]))
    assert answer.headers["Location"] == "/invitation/", "out of the address bar at once"
    return client


def proved(secret: str, client: Client | None = None) -> Client:
    """A browser whose owner knows the birth date."""
    client = followed(secret, client)
    assert client.post("/invitation/", BORN).status_code == 302
    return client


def test_a_parent_comes_from_the_sheet_to_the_portal(world: World) -> None:
    until = timezone.now() + timedelta(days=400)
    invitation, secret = invited(world, access_until=until)
    client = proved(secret)
    assert "Reports of Amina" in client.get("/invitation/").content.decode()
    done = client.post("/invitation/", NEWCOMER)
    assert done.headers["Location"] == reverse("portal")
    assert "Amina" in client.get("/portal/").content.decode()
    access = PortalAccess.objects.get(user__username="omar")
    assert (access.patient, access.relation) == (world.patient, "guardian")
    assert access.expires_at == until
    invitation.refresh_from_db()
    assert (invitation.state, invitation.accepted_by) == ("accepted", access.user)
    told = set(Entry.objects.filter(patient_id=world.patient.pk).values_list("action", flat=True))
    assert {"invitation.issued", "invitation.accepted", "portal_access.granted"} <= told


def test_somebody_with_an_account_uses_that(world: World) -> None:
    _, secret = invited(world, relation=Relation.SELF)
    client = proved(secret)
    client.post(
        reverse("login"), {"username": "stranger", "password": PASSWORD, "next": "/invitation/"}
    )
    assert "Eze Okafor" in client.get("/invitation/").content.decode()
    assert client.post("/invitation/").headers["Location"] == reverse("portal")
    assert world.stranger.portal_access.filter(patient=world.patient).exists()


def test_nothing_is_told_before_the_birth_date(world: World) -> None:
    _, secret = invited(world)
    text = followed(secret).get("/invitation/").content.decode()
    for name in ("Amina", "Rahman", "North Clinic", "2019"):
        assert name not in text


def test_five_wrong_birth_dates_make_the_sheet_worthless(world: World) -> None:
    invitation, secret = invited(world)
    client = followed(secret)
    for _ in range(4):
        assert "not the birth date" in client.post("/invitation/", WRONG).content.decode()
        client = followed(secret)  # a new session does not start anew
    assert client.post("/invitation/", WRONG).status_code == 404
    assert Client().get(reverse("invitation-follow", args=[secret])).status_code == 404
    invitation.refresh_from_db()
    assert invitation.state == InvitationState.VOID
    assert Entry.objects.filter(action="invitation.wrong_birth_date").count() == 5


@pytest.mark.parametrize("typed", [{}, {**BORN, "day": "31"}, {**BORN, "month": "April"}])
def test_a_date_that_is_none_costs_no_try(world: World, typed: dict[str, str]) -> None:
    invitation, secret = invited(world)
    assert followed(secret).post("/invitation/", typed).status_code == 200
    invitation.refresh_from_db()
    assert invitation.wrong_dates == 0


def test_without_the_birth_date_nothing_is_accepted(world: World) -> None:
    _, secret = invited(world)
    followed(secret).post("/invitation/", NEWCOMER)
    followed(secret, signed_in(world.stranger)).post("/invitation/")
    assert not User.objects.filter(username="omar").exists()
    assert not world.stranger.portal_access.filter(patient=world.patient).exists()


def test_the_proof_is_for_one_invitation_only(world: World) -> None:
    """Whoever proved one child's may not use it for another's."""
    _, secret = invited(world)
    _, other = invitations.issue(actor=SETUP, patient=world.other_patient, relation="guardian")
    client = followed(other, proved(secret))
    client.post("/invitation/", NEWCOMER)
    assert not User.objects.filter(username="omar").exists()


def used(world: World, invitation: Invitation) -> None:
    invitations.accept(user=world.stranger, invitation=invitation)


def revoked(world: World, invitation: Invitation) -> None:
    invitations.revoke(actor=SETUP, invitation=invitation)


def too_old(world: World, invitation: Invitation) -> None:
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now())


def seen(answer: Any) -> str:
    """The page without its form's token, which is another each time."""
    return re.sub(r'(?<=csrfmiddlewaretoken" value=")\w+', "", answer.content.decode())


@pytest.mark.parametrize("end", [used, revoked, too_old])
def test_a_sheet_that_is_over_looks_like_one_that_never_was(world: World, end: Any) -> None:
    invitation, secret = invited(world)
    halfway = proved(secret)
    end(world, invitation)
    never = Client().get(reverse("invitation-follow", args=["never"]))
    over = Client().get(reverse("invitation-follow", args=[secret]))
    assert (over.status_code, seen(over)) == (never.status_code, seen(never))
    assert halfway.post("/invitation/", NEWCOMER).status_code == 404
    assert not User.objects.filter(username="omar").exists()


def test_it_is_good_for_seven_days(world: World) -> None:
    _, secret = invited(world)
    with time_machine.travel(timezone.now() + timedelta(days=6, hours=23)):
        followed(secret)
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert Client().get(reverse("invitation-follow", args=[secret])).status_code == 404


def test_of_two_who_accept_at_once_one_gets_in(world: World) -> None:
    invitation, _ = invited(world)
    late = Invitation.objects.get(pk=invitation.pk)
    invitations.accept(user=world.stranger, invitation=invitation)
    with pytest.raises(Exception, match="changed meanwhile"):
        invitations.accept(user=world.outsider, invitation=late)
    assert not world.outsider.portal_access.exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"username": "guardian"}, "already exists"),
        ({"password": "short"}, "too short"),
        ({"password": ""}, "Choose a password"),
        ({"credential": '{"id": "x"}', "password": ""}, "did not arrive whole"),
        ({"credential": "no json", "password": ""}, "Choose a password"),
    ],
)
def test_an_account_that_cannot_be_opened_leaves_the_sheet_good(
    world: World, changes: dict[str, str], says: str
) -> None:
    invitation, secret = invited(world)
    client = proved(secret)
    before = User.objects.count()
    answer = client.post("/invitation/", {**NEWCOMER, **changes})
    assert says in answer.content.decode()
    assert User.objects.count() == before
    invitation.refresh_from_db()
    assert invitation.is_open
    assert client.post("/invitation/", NEWCOMER).status_code == 302


# --- the clinic's side ------------------------------------------------------------------------


def sheet(world: World, user: User | None = None, **more: Any) -> Any:
    fields = {"patient": world.patient.pk, "relation": "guardian", **more}
    fields |= {"access_until_0": "", "access_until_1": ""}
    return send(user or world.administrator, "patients_invitation_add", **fields)


def test_the_sheet_is_shown_once_and_only_its_digest_is_kept(world: World) -> None:
    answer = sheet(world)
    text = answer.content.decode()
    found = re.search(r"http://testserver/invitation/([\w-]{32})/", text)
    assert found, text
    assert "Amina Rahman" in text
    assert "data:image/svg+xml" in text
    assert "no-store" in answer.headers["Cache-Control"]
    row = Invitation.objects.get(secret_digest=invitations.digest(found.group(1)))
    followed(found.group(1))
    for again in ("changelist", "change"):
        args = [row.pk] if again == "change" else []
        shown = page(world.administrator, f"patients_invitation_{again}", *args)
        assert found.group(1) not in shown.content.decode()


def test_the_code_on_the_sheet_is_read_by_a_phone(world: World) -> None:
    link = "https://leukolens.example/invitation/" + "x" * 32 + "/"
    matrix = segno.make(link, error="m", micro=False)
    buffer = io.BytesIO()
    matrix.save(buffer, kind="png", scale=6, border=2)
    assert zxingcpp.read_barcodes(Image.open(buffer))[0].text == link


def test_only_who_manages_the_portal_invites_and_only_to_own_patients(world: World) -> None:
    before = Invitation.objects.count()
    for user in (world.technician, world.haematologist, world.device_manager, world.outsider):
        assert sheet(world, user).status_code == 403
    assert "patient" in str(sheet(world, patient=world.other_patient.pk).context["errors"])
    assert Invitation.objects.count() == before


def test_an_invitation_is_revoked_once(world: World) -> None:
    invitation, secret = invited(world)
    send(world.administrator, "patients_invitation_revoke", invitation.pk)
    invitation.refresh_from_db()
    assert invitation.state == "revoked"
    with pytest.raises(IllegalTransition):
        invitations.revoke(actor=SETUP, invitation=invitation)
    assert Client().get(reverse("invitation-follow", args=[secret])).status_code == 404


def test_an_invitation_needs_a_relation_there_is(world: World) -> None:
    with pytest.raises(ValidationError):
        invited(world, relation="aunt")
