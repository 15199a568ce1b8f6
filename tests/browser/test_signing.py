"""From the worklist to a signature: by few keys, and never past a field that was not shown."""

from typing import Any

from playwright.sync_api import Page, expect

from diagnostics.models import DiagnosticReport
from tests.browser.test_case import opened
from tests.browser.test_live import live
from tests.browser.test_looks import check
from tests.world import PASSWORD, UNSURE


def clear_case(hospital: Any, fields: int = 3) -> DiagnosticReport:
    for _ in range(fields):
        report = hospital.report()
    return report


def all_shown(page: Page, fields: int) -> None:
    expect(page.locator("#fields-left")).to_contain_text(f"All {fields} fields were shown to you")


def test_a_clear_case_is_signed_with_three_keys_and_the_password(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    """Open, conclude, to the signature. Its fields lie side by side while one looks."""
    clear_case(hospital)
    page = live(screen(hospital.world.haematologist, "/worklist/"))
    page.get_by_role("link", name="N-2026-0001").focus()
    page.keyboard.press("Enter")  # 1
    all_shown(page, 3)
    photograph(page, "signing-sheet-1280")
    check(page)
    page.keyboard.press("3")  # 2: Pre-B
    page.keyboard.press("s")  # 3
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#case-status")).to_contain_text("Signed: Pre-B ALL by Hana Sato")


def test_a_field_that_was_passed_over_holds_the_signature_up(hospital: Any, screen: Any) -> None:
    """A case that is not clear opens at one field; the page leads to the next."""
    hospital.read(hospital.send(), UNSURE)
    report = hospital.read(hospital.send())
    page = opened(hospital, screen, report, "haematologist")
    expect(page.locator("#fields-left")).to_contain_text("1 of 2 fields was not shown to you yet")
    page.get_by_role("radio", name="Undetermined").check()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Review and sign").click()
    expect(page.get_by_role("alert")).to_contain_text("You have not been shown every field yet")
    expect(page.get_by_role("radio", name="Undetermined")).to_be_checked()
    page.locator("#next-left").click()
    all_shown(page, 2)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Review and sign").click()
    expect(page.locator("#case-status")).to_contain_text("Signed: Undetermined")


def test_all_fields_at_once_come_and_go_by_a_key(hospital: Any, screen: Any) -> None:
    """And on a telephone only what was scrolled to has been shown."""
    clear_case(hospital, 5)
    report = hospital.do(lambda: hospital.world.specimen.report)
    page = live(screen(hospital.world.haematologist, f"/cases/{report.pk}/", width=390))
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="All fields at once")).to_have_attribute(
        "aria-pressed", "false"
    )
    page.keyboard.press("a")
    expect(page.locator("#case")).to_have_class("case is-sheet")
    page.wait_for_timeout(2_500)  # longer than a field has to be in view
    expect(page.locator(".pick").last).to_have_attribute("data-seen", "no")
    for pick in page.locator(".pick").all():
        pick.scroll_into_view_if_needed()
        expect(pick).to_have_attribute("data-seen", "yes")
    all_shown(page, 5)
