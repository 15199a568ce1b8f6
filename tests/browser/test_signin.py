"""The door in a real browser: passkeys, a family's way in, and how all of it looks."""

from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from playwright.sync_api import Page, expect

from hospital.accounts.models import User
from patients import invitations
from patients.models import PortalAccess
from tests.browser.conftest import NARROW, WIDE
from tests.browser.test_case import look_at_all
from tests.browser.test_looks import check
from tests.world import PASSWORD, SETUP

LOOKS = [(WIDE, False), (NARROW, False), (WIDE, True), (NARROW, True)]


def sheet(hospital: Any) -> str:
    """The address on a new sheet."""
    issued = hospital.do(
        invitations.issue, actor=SETUP, patient=hospital.world.patient, relation="guardian"
    )
    return f"/invitation/{issued[1]}/"


def type_birth_date(page: Page) -> None:
    for label, value in [("Day", "2"), ("Month", "4"), ("Year", "2019")]:
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Go on").click()


def test_a_passkey_is_made_and_opens_the_account_alone(hospital: Any, phone: Page) -> None:
    phone.goto("/login/")
    phone.get_by_label("User name").fill("haematologist")
    phone.get_by_label("Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in", exact=True).click()
    phone.goto("/account/")
    phone.get_by_role("link", name="Add a passkey").click()
    phone.get_by_role("button", name="Make the passkey").click()
    expect(phone.get_by_role("heading", name="Recovery codes")).to_be_visible()
    phone.get_by_role("button", name="Sign out").click()

    phone.get_by_role("button", name="Sign in with a passkey").click()
    expect(phone.get_by_role("heading", name="Worklist")).to_be_visible()
    phone.get_by_role("button", name="Sign out").click()

    # After a password it is the second step.
    phone.get_by_label("User name").fill("haematologist")
    phone.get_by_label("Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in", exact=True).click()
    expect(phone.get_by_role("heading", name="One more step")).to_be_visible()
    phone.get_by_role("button", name="Use a passkey").click()
    expect(phone.get_by_role("heading", name="Worklist")).to_be_visible()


def test_a_passkey_signs_a_report(hospital: Any, phone: Page) -> None:
    """Beside the password, on the page of the case; also after its form was renewed."""
    phone.goto("/login/")
    phone.get_by_label("User name").fill("haematologist")
    phone.get_by_label("Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in", exact=True).click()
    phone.goto("/account/passkeys/add/")
    phone.get_by_role("button", name="Make the passkey").click()
    expect(phone.get_by_role("heading", name="Recovery codes")).to_be_visible()
    report = hospital.report()
    phone.goto(f"/cases/{report.pk}/")
    look_at_all(phone)
    hospital.read(hospital.send())
    expect(phone.locator("#case-summary")).to_contain_text("2 of 2")
    look_at_all(phone)
    phone.get_by_role("radio", name="Pre-B ALL", exact=True).check()
    phone.get_by_role("button", name="Use a passkey instead").click()
    expect(phone.locator("#case-status")).to_contain_text("Signed: Pre-B ALL by Hana Sato")


def test_a_mother_opens_her_account_with_a_passkey_and_no_password(
    hospital: Any, phone: Page
) -> None:
    phone.goto(sheet(hospital))
    type_birth_date(phone)
    phone.get_by_label("Your name").fill("Laila Rahman")
    phone.get_by_label("A user name you choose").fill("laila")
    phone.get_by_role("button", name="Use a passkey").click()
    expect(phone.get_by_role("heading", name="Blood smear reports")).to_be_visible()
    user = hospital.do(User.objects.get, username="laila")
    assert not user.has_usable_password()
    assert hospital.do(PortalAccess.objects.filter(user=user).count) == 1
    phone.get_by_role("button", name="Sign out").click()
    phone.get_by_role("button", name="Sign in with a passkey").click()
    expect(phone.get_by_role("heading", name="Blood smear reports")).to_be_visible()


def test_signing_out_elsewhere_shuts_an_open_page_at_once(hospital: Any, screen: Any) -> None:
    user = hospital.world.haematologist
    left_open = screen(user, "/worklist/")
    expect(left_open.locator("#live")).to_have_attribute("data-state", "live")
    here = screen(user, "/account/")
    here.get_by_role("button", name="Sign out everywhere").click()
    # It says so at once, and a moment later it is the door.
    expect(left_open.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(left_open.get_by_text("Amina")).to_have_count(0)


def protected(hospital: Any) -> None:
    """The haematologist has an app and recovery codes."""
    TOTP.activate(hospital.world.haematologist, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(hospital.world.haematologist)


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_how_the_door_and_the_account_look(
    hospital: Any, screen: Any, photograph: Any, width: int, dark: bool
) -> None:
    name = f"{width}{'-dark' if dark else ''}"

    def look(page: Page, what: str) -> None:
        photograph(page, f"{what}-{name}")
        check(page)

    page = screen(None, "/login/", width=width, dark=dark)
    page.get_by_label("User name").fill("technician")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in", exact=True).click()
    look(page, "signin-wrong")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    for what, path in [
        ("account", "/account/"),
        ("account-app", "/account/app/"),
        ("account-passkey", "/account/passkeys/add/"),
        ("account-password", "/account/password/"),
    ]:
        page.goto(path)
        look(page, what)
    hospital.do(protected, hospital)
    reader = screen(hospital.world.haematologist, "/account/", width=width, dark=dark)
    look(reader, "account-protected")
    reader.get_by_role("link", name="Show codes").click()
    look(reader, "signin-again")
    reader.get_by_label("Password").fill(PASSWORD)
    reader.get_by_role("button", name="Go on").click()
    expect(reader.get_by_role("listitem").nth(9)).to_be_visible()
    look(reader, "account-codes")
    reader.goto("/account/app/remove/")
    look(reader, "account-app-remove")
    second = screen(None, "/login/", width=width, dark=dark)
    second.get_by_label("User name").fill("haematologist")
    second.get_by_label("Password").fill(PASSWORD)
    second.get_by_role("button", name="Sign in", exact=True).click()
    look(second, "signin-code")


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_how_an_invitation_looks(
    hospital: Any, screen: Any, photograph: Any, width: int, dark: bool
) -> None:
    name = f"{width}{'-dark' if dark else ''}"
    page = screen(None, sheet(hospital), width=width, dark=dark)
    page.get_by_label("Day").fill("3")
    page.get_by_label("Month").fill("4")
    page.get_by_label("Year").fill("2019")
    page.get_by_role("button", name="Go on").click()
    photograph(page, f"invitation-birth-{name}")
    check(page)
    type_birth_date(page)
    photograph(page, f"invitation-account-{name}")
    check(page)
    page.goto("/invitation/never/")
    photograph(page, f"invitation-over-{name}")
    check(page)
    clerk = screen(hospital.world.administrator, "/admin/patients/invitation/add/", width=width)
    clerk.locator("#id_patient").evaluate(
        "(field, id) => field.add(new Option('Amina', id, true, true))",
        str(hospital.world.patient.pk),
    )
    clerk.get_by_role("button", name="Save", exact=True).click()
    expect(
        clerk.get_by_role("heading", name="Your invitation to the patient portal")
    ).to_be_visible()
    photograph(clerk, f"invitation-sheet-{name}")
    check(clerk)
