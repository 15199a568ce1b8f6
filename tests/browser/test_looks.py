"""Every page, wide and narrow: accessible by WCAG 2.2 AA, and photographed to be looked at."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from diagnostics.models import Outcome
from hospital.accounts import emergency
from tests.browser.conftest import NARROW, WIDE
from tests.browser.scenes import CLEAR_BENIGN, Morning, at_once, released, unlinked_child
from tests.browser.smears import DRAWN

STANDARD = {
    # For one experimental rule that is off, it writes the admin's imported sheets into the page.
    "preload": False,
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
}
WIDTHS = (WIDE, NARROW)


def check(page: Page) -> None:
    """No accessibility violation, nothing wider than the screen."""
    found = Axe().run(page, options=STANDARD)
    assert not found.response["violations"], found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
    too_wide = page.evaluate(
        """[...document.querySelectorAll("body *")]
            .filter((part) => part.getBoundingClientRect().right > innerWidth + 1)
            .filter((part) => !part.closest(".strip, .scroll, thead, .visually-hidden"))
            .filter((part) => !part.closest(".model-card table"))
            .map((part) => part.outerHTML.slice(0, 120))"""
    )
    assert not too_wide, f"wider than the screen: {too_wide}"


def test_the_door(hospital: Any, screen: Any, photograph: Any) -> None:
    for width in WIDTHS:
        page = screen(None, "/login/", width=width)
        photograph(page, f"login-{width}")
        check(page)


def test_staff_pages(hospital: Any, screen: Any, photograph: Any) -> None:
    morning = Morning(hospital)
    reader = hospital.world.haematologist
    for width, dark in [(WIDE, False), (NARROW, False), (WIDE, True)]:
        name = f"{width}{'-dark' if dark else ''}"
        worklist = screen(reader, "/worklist/", width=width, dark=dark)
        expect(worklist.locator("#live")).to_have_attribute("data-state", "live")
        photograph(worklist, f"worklist-{name}")
        check(worklist)
        case = screen(reader, f"/cases/{morning.main.pk}/", width=width, dark=dark)
        case.get_by_role("link", name="Field 4").click()
        expect(case.locator(".outlines polygon").first).to_be_attached()
        photograph(case, f"case-{name}")
        check(case)


def test_a_drawn_smear_is_marked_as_such(hospital: Any, screen: Any, photograph: Any) -> None:
    """Wherever its result is shown."""
    at_once(hospital)
    report = hospital.read(hospital.send(kind=DRAWN))
    for name, who, path in [
        ("worklist", hospital.world.technician, "/worklist/"),
        ("case", hospital.world.technician, f"/cases/{report.pk}/"),
        ("portal", hospital.world.guardian, "/portal/"),
        ("portal-report", hospital.world.guardian, f"/portal/reports/{report.pk}/"),
    ]:
        page = screen(who, path)
        marks = page.get_by_text(re.compile("synthetic|demonstration", re.IGNORECASE))
        expect(marks.first).to_be_visible()
        photograph(page, f"synthetic-{name}-1280")


def test_the_worklist_of_two_clinics(hospital: Any, screen: Any, photograph: Any) -> None:
    """One filter and one clinic's name more must find room on a telephone too."""
    world = hospital.world
    hospital.read(hospital.send(), outcome=Outcome.UNFAMILIAR)
    hospital.read(hospital.send(kind=DRAWN))
    hospital.read(hospital.send(specimen=world.other_specimen, kind="Benign"), CLEAR_BENIGN)
    for width in WIDTHS:
        page = screen(world.superuser, "/worklist/", width=width)
        photograph(page, f"worklist-two-clinics-{width}")
        check(page)
        assert page.locator("#q").bounding_box()["width"] > 180


def test_a_drawn_field_among_real_ones(hospital: Any, screen: Any, photograph: Any) -> None:
    """Only the drawn one bears the mark."""
    at_once(hospital)
    hospital.read(hospital.send())
    report = hospital.read(hospital.send(kind=DRAWN))
    for name, who, path in [
        ("case", hospital.world.technician, f"/cases/{report.pk}/"),
        ("portal", hospital.world.guardian, "/portal/"),
        ("portal-report", hospital.world.guardian, f"/portal/reports/{report.pk}/"),
    ]:
        page = screen(who, path)
        photograph(page, f"one-synthetic-{name}-1280")
        check(page)


def test_admin_lists_fit(hospital: Any, screen: Any, photograph: Any) -> None:
    """No column is cut off on a laptop."""
    Morning(hospital)
    for name in ["patients/patient", "diagnostics/analysis", "diagnostics/diagnosticreport"]:
        page = screen(hospital.world.superuser, f"/admin/{name}/")
        photograph(page, f"admin-{name.partition('/')[2]}-1280")
        results = page.locator("#changelist .results")
        assert results.evaluate("e => e.scrollWidth <= e.clientWidth"), name


def test_the_signed_case(hospital: Any, screen: Any, photograph: Any) -> None:
    report = released(hospital, conclusion="pre_b", kind="Pre")
    page = screen(hospital.world.technician, f"/cases/{report.pk}/")
    photograph(page, "case-signed-1280")
    check(page)


def test_empty_pages(hospital: Any, screen: Any, photograph: Any) -> None:
    for name, user, path in [
        ("worklist-empty", hospital.world.technician, "/worklist/"),
        ("portal-empty", hospital.world.guardian, "/portal/"),
        ("not-found", hospital.world.guardian, "/nothing/"),
        ("forbidden", hospital.world.guardian, "/worklist/"),
    ]:
        page = screen(user, path)
        photograph(page, f"{name}-1280")
        check(page)


def test_the_portal(hospital: Any, screen: Any, photograph: Any) -> None:
    reports = {
        "benign": released(hospital, conclusion="benign", kind="Benign"),
        "malignant": released(hospital, conclusion="pre_b", kind="Pre"),
        "undetermined": released(hospital, conclusion="undetermined", kind="Early"),
    }
    at_once(hospital)
    reports["unsigned"] = hospital.report(kind="Pro")
    unlinked_child(hospital)
    guardian = hospital.world.guardian
    for width, dark in [(WIDE, False), (NARROW, False), (NARROW, True)]:
        suffix = f"{width}{'-dark' if dark else ''}"
        portal = screen(guardian, "/portal/", width=width, dark=dark)
        photograph(portal, f"portal-{suffix}")
        check(portal)
        for name, report in reports.items():
            if dark and name != "unsigned":
                continue
            page = screen(guardian, f"/portal/reports/{report.pk}/", width=width, dark=dark)
            photograph(page, f"portal-{name}-{suffix}")
            check(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_reached_by_keyboard(hospital: Any, screen: Any, width: int) -> None:
    """The first stop is the way past the header, and focus is always to be seen."""
    page = screen(hospital.world.technician, "/worklist/", width=width)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_emergency_access(hospital: Any, screen: Any, photograph: Any) -> None:
    world = hospital.world
    reason = "A child of theirs bleeds here tonight, and nobody there picks up the telephone."
    hospital.do(lambda: emergency.begin(user=world.outsider, clinic=world.clinic, reason=reason))
    for user, width, dark in [
        (world.haematologist, WIDE, False),
        (world.administrator, NARROW, False),
        (world.outsider, NARROW, True),
    ]:
        page = screen(user, "/emergency/", width=width, dark=dark)
        photograph(page, f"emergency-{user.username}-{width}{'-dark' if dark else ''}")
        check(page)
