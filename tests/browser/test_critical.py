"""A critical result stands on every screen of the clinic until it was told and read back."""

from typing import Any

from playwright.sync_api import expect

from tests.browser.test_live import live
from tests.browser.test_looks import WIDTHS, check


def test_the_banner_comes_and_goes_on_a_second_screen_without_a_reload(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    world = hospital.world
    report = hospital.report()
    second = live(screen(world.technician, "/worklist/"))
    banner = second.locator("#call-backs")
    expect(banner).to_be_hidden()

    hospital.sign(report, "pre_b")

    expect(banner).to_contain_text("Critical, to be told")
    expect(banner).to_contain_text("Rahman, Amina · N-2026-0001")
    photograph(second, "critical-worklist-1280")
    check(second)
    page = live(screen(world.technician, f"/cases/{report.pk}/"))
    page.get_by_label("Name").fill("Dr Idris")
    page.get_by_label("Role or place").fill("ward 3")
    page.get_by_role("radio", name="Nobody was reached").check()
    page.get_by_role("button", name="Keep this call").click()
    expect(banner).to_contain_text("1 call, not read back")
    photograph(page, "critical-case-1280")
    check(page)
    page.get_by_label("Name").fill("Dr Idris")
    page.get_by_role("radio", name="Told, and read back to me").check()
    page.get_by_role("button", name="Keep this call").click()

    expect(page.get_by_text("Critical result: Told and read back")).to_be_visible()
    expect(banner).to_be_hidden()
    narrow = screen(world.haematologist, f"/cases/{report.pk}/", width=WIDTHS[1])
    photograph(narrow, "critical-case-390")
    check(narrow)
