"""The worklist by hand and by key: filters, saved views, and the next case at hand."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.scenes import Morning
from tests.browser.test_live import live
from tests.browser.test_looks import check
from tests.browser.test_viewer import outlined
from tests.world import UNSURE


def listed(hospital: Any, screen: Any, path: str = "/worklist/", **options: Any) -> Page:
    return live(screen(hospital.world.haematologist, path, **options))


def test_filters_and_saved_views(hospital: Any, screen: Any, photograph: Any) -> None:
    """Set, kept over tabs, saved under a name, opened first, shared, forgotten."""
    Morning(hospital)
    page = listed(hospital, screen)
    page.get_by_text("Filters").click()
    page.get_by_label("Model’s reading").select_option("Uncertain")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".reports tbody tr")).to_have_count(1)
    page.get_by_text("Save this view").click()
    page.get_by_label("Name of the view shown").fill("Doubtful")
    page.get_by_label("Who sees it").select_option("All readers of North Clinic")
    page.get_by_label("Open the worklist with it").check()
    page.get_by_role("button", name="Save the view").click()
    page.goto("/worklist/")
    expect(page.locator(".reports tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name="Doubtful")).to_have_attribute("aria-current", "true")
    colleague = live(screen(hospital.world.technician, "/worklist/"))
    colleague.get_by_role("link", name="Doubtful").click()
    expect(colleague.locator(".reports tbody tr")).to_have_count(1)
    for width, dark in [(1280, False), (390, False), (1280, True)]:
        shown = listed(hospital, screen, width=width, dark=dark)
        shown.get_by_text("Save or change views").click()
        photograph(shown, f"worklist-views-{width}{'-dark' if dark else ''}")
        check(shown)
    page.get_by_text("Save or change views").click()
    page.get_by_role("button", name="Doubtful: forget").click()
    expect(page.get_by_role("link", name="Doubtful")).to_have_count(0)


def test_the_next_case_is_at_hand_before_it_is_asked_for(hospital: Any, screen: Any) -> None:
    """Its picture comes while the list is on show; opened, nothing of it is sent again."""
    hospital.report()
    image = hospital.read(hospital.send(), UNSURE).specimen_id
    assert image
    pictures: list[tuple[str, int]] = []
    page = screen(hospital.world.haematologist, "/login/")
    page.on("response", lambda answer: pictures.append((answer.url, answer.status)))
    with page.expect_response("**/original") as fetched:
        page.goto("/worklist/")
    assert fetched.value.request.headers["x-purpose"] == "ahead"
    with page.expect_response("**/thumbnail"):
        pass
    pictures.clear()
    page.keyboard.press("j")
    outlined(page)
    again = [status for url, status in pictures if url == fetched.value.url]
    assert again and set(again) <= {200, 304}
    transferred = page.evaluate(
        "url => performance.getEntriesByName(url).at(-1).encodedBodySize", fetched.value.url
    )
    assert transferred > 0
