"""Promises about the signature: nobody signs what they were not shown, or as somebody else."""

from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.db import connection, transaction
from django.urls import reverse

from diagnostics.models import DiagnosticReport, FieldImage, FieldSeen, Outcome
from diagnostics.services import looking, signing
from hospital.accounts.models import Clinic, FieldsToSee, Lockout
from hospital.accounts.signin.identity import confirm_identity
from hospital.accounts.signin.lockouts import LockedOut
from hospital.base.problems import Conflict, Forbidden
from hospital.base.states import StaleState
from tests.diagnostics.test_pages import client_of
from tests.world import PASSWORD, World, look

pytestmark = pytest.mark.django_db


def sign(world: World, report: DiagnosticReport, **changes: Any) -> DiagnosticReport:
    """As the haematologist, who has been shown what the test shows them."""
    request = {
        "user": world.haematologist,
        "password": PASSWORD,
        "report": report,
        "version": report.version,
        "conclusion": "pre_b",
    }
    return signing.sign(**{**request, **changes})


def three_fields(world: World) -> tuple[DiagnosticReport, list[FieldImage]]:
    images = []
    for seed in (1, 2, 3):
        images.append(world.receive(seed))
        world.succeed(images[-1])
    return DiagnosticReport.objects.get(specimen=world.specimen), images


def show(world: World, report: DiagnosticReport, *images: FieldImage) -> None:
    ids = [image.pk for image in images]
    looking.note_fields_seen(user=world.haematologist, report=report, images=ids)


# --- all fields seen --------------------------------------------------------------------------


def test_nobody_signs_before_every_field_was_shown_to_them(world: World) -> None:
    report, (first, second, third) = three_fields(world)
    look(world.technician, report)  # what others were shown does not count
    show(world, report, second)
    with pytest.raises(Conflict) as refused:
        sign(world, report)
    assert refused.value.code == "fields_unseen"
    assert refused.value.extra["fields"] == [str(first.pk), str(third.pk)]
    assert "1, 3 are left" in refused.value.detail
    show(world, report, first, third)
    assert sign(world, report).is_signed


def test_a_picture_that_comes_later_has_to_be_looked_at_too(world: World) -> None:
    report, images = three_fields(world)
    show(world, report, *images)
    world.succeed(world.receive(4))
    report.refresh_from_db()
    with pytest.raises(Conflict, match="4 is left"):
        sign(world, report)


def test_spoilt_pictures_and_the_same_one_again_need_not_be_looked_at(world: World) -> None:
    image = world.receive(1)
    world.succeed(image)
    world.succeed(world.receive(1))  # to the byte
    world.succeed(world.receive(2), outcome=Outcome.UNUSABLE, rejection="out_of_focus")
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    show(world, report, image)
    assert sign(world, report).is_signed


def test_what_the_model_could_not_read_is_for_the_reader_to_see(world: World) -> None:
    report, images = three_fields(world)
    world.succeed(world.receive(4), outcome=Outcome.UNFAMILIAR)
    show(world, report, *images)
    report.refresh_from_db()
    with pytest.raises(Conflict) as refused:
        sign(world, report)
    assert refused.value.code == "fields_unseen"


def test_a_clinic_may_only_advise_it(world: World) -> None:
    report, _ = three_fields(world)
    Clinic.objects.filter(pk=world.clinic.pk).update(fields_to_see=FieldsToSee.ADVISED)
    report.refresh_from_db()
    assert sign(world, report).is_signed
    assert not FieldSeen.objects.exists()


def test_the_page_says_how_many_are_left_and_leads_to_the_next(world: World) -> None:
    report, (first, *_) = three_fields(world)
    show(world, report, first)
    client = client_of(world.haematologist)
    page = client.get(reverse("case", args=[report.pk]))
    assert "<strong>2 of 3 fields</strong> were not shown to you yet" in page.content.decode()
    assert f'data-next="{page.context["next_left"].image.pk}"' in page.content.decode()
    answer = client.post(
        reverse("case-sign", args=[report.pk]),
        {"version": report.version, "conclusion": "pre_b", "password": PASSWORD},
    )
    assert answer.status_code == 409
    assert "You have not been shown every field yet" in answer.content.decode()


def test_a_program_says_what_it_showed_and_is_told_what_is_left(world: World) -> None:
    report, (first, second, third) = three_fields(world)
    client = client_of(world.haematologist)
    body = {"version": report.version, "conclusion": "pre_b", "password": PASSWORD}
    address = f"/api/v1/reports/{report.pk}"
    refused = client.post(f"{address}/sign/", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "fields_unseen")
    assert len(refused.json()["fields"]) == 3
    shown = {"images": [str(first.pk), str(third.pk)]}
    left = client.post(f"{address}/seen/", shown, content_type="application/json").json()
    assert left == {"left": [{"number": 2, "image": str(second.pk)}]}
    client.post(f"{address}/seen/", {"images": left_ids(left)}, content_type="application/json")
    signed = client.post(f"{address}/sign/", body, content_type="application/json")
    assert (signed.status_code, signed.json()["status"]) == (200, "final")


def left_ids(left: Any) -> list[str]:
    return [one["image"] for one in left["left"]]


def test_a_clear_case_of_many_fields_opens_with_all_of_them_at_once(world: World) -> None:
    """For whoever may sign it; a case that is not clear opens at its least certain field."""
    report, images = three_fields(world)
    address = reverse("case", args=[report.pk])
    assert client_of(world.haematologist).get(address).context["as_sheet"]
    assert not client_of(world.technician).get(address).context["as_sheet"]
    show(world, report, *images)
    assert not client_of(world.haematologist).get(address).context["as_sheet"]


# --- who one is -------------------------------------------------------------------------------


def test_wrong_passwords_at_the_signature_count_as_at_the_door(world: World, settings: Any) -> None:
    settings.SIGNIN_TRIES = 2
    report = world.reported()
    look(world.haematologist, report)
    client = client_of(world.haematologist)  # whoever has signed in is forgiven earlier tries
    for _ in range(2):
        with pytest.raises(Forbidden) as wrong:
            sign(world, report, password="guess")
        assert wrong.value.code == "wrong_password"
    with pytest.raises(LockedOut):
        sign(world, report)
    assert Lockout.objects.get(user=world.haematologist).failures == 2
    page = client.post(
        reverse("case-sign", args=[report.pk]),
        {"version": report.version, "conclusion": "pre_b", "password": PASSWORD},
    )
    assert page.status_code == 429
    assert "Too many wrong tries" in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_wrong_password_is_counted_though_nothing_was_signed(world: World) -> None:
    """The question comes before the transaction, which would take the count back."""
    report = world.reported()
    look(world.haematologist, report)
    assert not connection.in_atomic_block
    with pytest.raises(Forbidden):
        sign(world, report, password="guess")
    assert Lockout.objects.get(user=world.haematologist).failures == 1


def test_a_code_of_the_app_signs_once(world: World) -> None:
    TOTP.activate(world.haematologist, "JBSWY3DPEHPK3PXP")
    _, counter, _ = yield_hotp_counters_from_time()  # the oldest is soon too old
    code = format_hotp_value(hotp_value("JBSWY3DPEHPK3PXP", counter))
    report = world.reported()
    look(world.haematologist, report)
    page = client_of(world.haematologist).get(reverse("case", args=[report.pk]))
    assert "Code of your app" in page.content.decode()
    # What is refused beforehand does not spend it.
    with pytest.raises(StaleState):
        sign(world, report, password="", code=code, version=report.version - 1)
    assert sign(world, report, password="", code=code).is_signed
    with pytest.raises(Forbidden) as spent:
        confirm_identity(world.haematologist, code=code)
    assert spent.value.code == "wrong_code"


def test_neither_password_nor_code_is_nobody(world: World) -> None:
    report = world.reported()
    look(world.haematologist, report)
    with pytest.raises(Forbidden), transaction.atomic():
        sign(world, report, password="")
    report.refresh_from_db()
    assert not report.is_signed


def test_what_is_no_passkey_signs_nothing_and_counts(world: World) -> None:
    report = world.reported()
    look(world.haematologist, report)
    client = client_of(world.haematologist)
    assert "request_options" in client.get(reverse("passkey-options")).json()
    form = {"version": report.version, "conclusion": "pre_b", "credential": '{"id": "none"}'}
    answer = client.post(reverse("case-sign", args=[report.pk]), form)
    assert answer.status_code == 403
    assert "The passkey was not accepted" in answer.content.decode()
    assert Lockout.objects.get(user=world.haematologist).failures == 1
