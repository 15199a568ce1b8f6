"""Own call first, on screens: hidden until the reader has said what they see, then shown."""

from typing import Any

from playwright.sync_api import expect

from tests.browser.test_live import live
from tests.browser.test_looks import WIDTHS, check
from tests.world import SURE


def test_a_call_by_keys_opens_what_the_model_says(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    """On the screen of who made it; a colleague's stays without."""
    world = hospital.world
    hospital.do(world.own_call_first)
    report = hospital.report(SURE)
    colleague = live(screen(world.technician, f"/cases/{report.pk}/"))
    worklist = live(screen(world.haematologist, "/worklist/"))
    expect(worklist.get_by_text("Your own call first", exact=True)).to_be_visible()
    page = live(screen(world.haematologist, f"/cases/{report.pk}/"))
    expect(page.get_by_text("Suggests Pre-B ALL")).to_have_count(0)
    expect(page.locator("#sign")).to_have_count(0)
    photograph(page, "own-call-before-1280")
    check(page)

    page.keyboard.press("3")
    expect(page.get_by_role("radio", name="Pre-B ALL", exact=True)).to_be_checked()
    page.keyboard.press("s")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Your call is kept: Pre-B ALL.")).to_be_visible()
    expect(page.get_by_text("Suggests Pre-B ALL").first).to_be_visible()
    expect(page.get_by_text("as the model said then")).to_be_visible()
    expect(worklist.get_by_text("Suggests Pre-B ALL", exact=True)).to_be_visible()
    expect(page.locator("#sign")).to_be_visible()
    photograph(page, "own-call-after-1280")
    check(page)
    expect(colleague.get_by_text("Suggests Pre-B ALL")).to_have_count(0)
    expect(colleague.locator("#own-call")).to_be_visible()


def test_the_concordance_page(hospital: Any, screen: Any, photograph: Any) -> None:
    world = hospital.world
    hospital.do(world.own_call_first)
    report = hospital.report(SURE)
    page = live(screen(world.haematologist, f"/cases/{report.pk}/"))
    page.get_by_role("radio", name="I cannot tell").check()
    page.get_by_role("button", name="Keep my call").click()
    page.get_by_role("link", name="Concordance").click()
    expect(page.get_by_text("0 of 1 cases")).to_be_visible()
    for width in WIDTHS:
        shown = screen(world.haematologist, "/concordance/", width=width)
        photograph(shown, f"concordance-{width}")
        check(shown)
    narrow = screen(world.haematologist, f"/cases/{report.pk}/", width=WIDTHS[1])
    photograph(narrow, "own-call-390")
    check(narrow)
