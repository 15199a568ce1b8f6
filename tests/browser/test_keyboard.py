"""A reader whose hand never leaves the keys: from the door to the signature, to the next case."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.test_gallery import calls
from tests.browser.test_viewer import two_fields
from tests.world import PASSWORD, add_specimen

FOCUSED = """() => {
    const it = document.activeElement;
    const box = it.getBoundingClientRect();
    // Its own ring, that of the row it opens, or that of the stage it stands on.
    const rings = [[it], [it, "::after"], [it.closest(".scope") ?? it]];
    const seen = rings.some((one) => getComputedStyle(...one).outlineStyle !== "none");
    const inside = box.bottom > 0 && box.top < innerHeight;
    const name = it.getAttribute("aria-label") || it.labels?.[0]?.innerText || it.innerText;
    return { name: name || "", seen, inside, tag: it.tagName };
}"""


def tab_to(page: Page, name: str) -> None:
    """Go from stop to stop until `name` has the focus; every stop on the way can be seen."""
    for _ in range(80):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop["tag"] == "BODY":
            continue
        assert stop["seen"] and stop["inside"], f"the focus cannot be seen on {stop}"
        if name in stop["name"]:
            return
    raise AssertionError(f"no way by Tab to {name}")


def another_case(hospital: Any) -> None:
    """A second sample of the same child, read as the first."""

    def register() -> Any:
        return add_specimen(hospital.world.patient, "N-2026-0002")

    hospital.read(hospital.send(specimen=hospital.do(register)))


def test_from_the_door_to_the_signature_without_a_mouse(hospital: Any, screen: Any) -> None:
    two_fields(hospital)
    another_case(hospital)
    page = screen(None, "/")
    tab_to(page, "User name")
    page.keyboard.type("haematologist")
    tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    tab_to(page, "N-2026-0001")
    page.keyboard.press("Enter")
    expect(page.locator("#case")).to_be_visible()
    # Each field in turn, by its key, until the page says that all were shown.
    left = page.locator("#fields-left")
    expect(left).to_be_visible()
    for _ in range(12):
        if "All 2 fields were shown to you" in left.inner_text():
            break
        page.keyboard.press("f")
        page.wait_for_timeout(1_500)  # as long as a field has to be in view
    expect(left).to_contain_text("All 2 fields were shown to you")
    # A cell is named, and taken back.
    tab_to(page, "Cell 1 of")
    page.keyboard.press("Enter")
    page.keyboard.press("3")
    expect(page.locator("#cell-told")).to_contain_text("Pre-B ALL, says Hana Sato")
    page.keyboard.press("u")
    expect(page.locator("#cell-told")).not_to_contain_text("says Hana Sato")
    assert calls(hospital) == []
    page.keyboard.press("Escape")
    # The conclusion, the password, the signature, the next case.
    page.keyboard.press("3")
    page.keyboard.press("s")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#case-status")).to_contain_text("Signed: Pre-B ALL by Hana Sato")
    page.keyboard.press("k")
    expect(page).to_have_title(re.compile("N-2026-0002"))
