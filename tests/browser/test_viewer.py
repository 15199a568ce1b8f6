"""The picture on the stage: zoomed, moved, outlined; by mouse, by key, and without scripts."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.test_case import opened
from tests.browser.test_looks import check
from tests.world import UNSURE


def outlined(page: Page) -> Page:
    """Once the outlines lie over the field."""
    expect(page.locator(".outlines polygon").first).to_be_attached()
    return page


def place(page: Page) -> Any:
    """Where the outlines' drawing stands on the screen, as wide as the field is shown."""
    return page.locator("svg.outlines").bounding_box()


def shows(page: Page, what: str, then: Any) -> None:
    """Waits until the outlines' drawing stands as told, compared with where it stood."""
    now = "document.querySelector('svg.outlines').getBoundingClientRect()"
    page.wait_for_function(f"then => {{ const now = {now}; return {what} }}", arg=then)


def two_fields(hospital: Any) -> Any:
    hospital.read(hospital.send(), UNSURE)
    return hospital.read(hospital.send())


def test_the_field_zooms_and_moves_by_key_and_by_button(hospital: Any, screen: Any) -> None:
    page = outlined(opened(hospital, screen, hospital.report(), "technician"))
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    outlined(page)
    before = place(page)
    page.get_by_role("application").focus()
    page.keyboard.press("+")
    shows(page, "now.width > then.width * 1.2", before)
    zoomed = place(page)
    page.keyboard.press("ArrowRight")
    shows(page, "now.x < then.x - 5", zoomed)
    page.get_by_role("button", name="Whole field").click()
    shows(page, "Math.abs(now.width - then.width) < 2", before)


def test_outlines_are_toggled_and_how_strong_they_are_is_remembered(
    hospital: Any, screen: Any
) -> None:
    """In every case from then on, as the reader left them."""
    page = outlined(opened(hospital, screen, two_fields(hospital), "technician"))
    drawing = page.locator("svg.outlines")
    expect(drawing).to_have_css("opacity", "0.9")
    page.keyboard.press("o")
    expect(drawing).to_have_css("opacity", "0")
    page.keyboard.press("o")
    page.get_by_role("slider", name="How strong the outlines are").fill("40")
    expect(drawing).to_have_css("opacity", "0.4")
    page.reload()
    expect(page.locator("svg.outlines")).to_have_css("opacity", "0.4")
    page.get_by_label("Cells only").check()
    page.keyboard.press("o")
    page.reload()
    expect(page.locator("svg.outlines")).to_have_css("opacity", "0")
    expect(page.get_by_label("Cells only")).to_be_checked()


def test_fields_are_turned_by_key_and_stay_chosen_through_news(hospital: Any, screen: Any) -> None:
    report = two_fields(hospital)
    page = outlined(opened(hospital, screen, report, "technician"))
    article = page.locator("#case-field")
    first = article.get_attribute("data-field")
    page.keyboard.press("f")
    expect(article).not_to_have_attribute("data-field", first)
    second = article.get_attribute("data-field")
    outlined(page)
    hospital.read(hospital.send(), UNSURE)
    expect(page.locator("#case-summary")).to_contain_text("3 of 3")
    expect(article).to_have_attribute("data-field", second)
    expect(page.locator(".pick[aria-current]")).to_have_attribute("data-field", second)
    page.keyboard.press("d")
    expect(article).not_to_have_attribute("data-field", second)
    page.reload()
    expect(page.locator("#case-field")).not_to_have_attribute("data-field", second)


HOLD_ANSWERS = """() => {
  const read = Response.prototype.json;
  window.late = [];
  Response.prototype.json = async function () {
    const body = await read.call(this);
    await new Promise((go) => window.late.push(go));
    return body;
  };
}"""


def test_outlines_that_come_late_are_not_laid_over_another_field(
    hospital: Any, screen: Any
) -> None:
    page = outlined(opened(hospital, screen, two_fields(hospital), "technician"))
    drawing = page.locator("svg.outlines")
    own = drawing.inner_html()
    page.evaluate(HOLD_ANSWERS)
    for held in (1, 2):  # to the other field and back, before its outlines have come
        page.keyboard.press("f")
        page.wait_for_function("held => window.late.length === held", arg=held)
    expect(drawing).to_have_count(0)
    page.evaluate("() => window.late[0]()")
    page.evaluate("() => new Promise((then) => setTimeout(then, 100))")
    expect(drawing).to_have_count(0)
    page.evaluate("() => window.late[1]()")
    outlined(page)
    assert drawing.inner_html() == own


def test_a_picture_that_arrives_is_shown_and_outlined_when_it_is_read(
    hospital: Any, screen: Any
) -> None:
    image = hospital.send()
    report = hospital.do(lambda: hospital.world.specimen.report)
    page = opened(hospital, screen, report, "technician")
    expect(page.get_by_text("Outlines appear when the analysis is done")).to_be_visible()
    hospital.read(image)
    outlined(page)


def test_without_scripts_the_picture_and_its_outlines_are_there(
    hospital: Any, screen: Any, chromium: Any, photograph: Any
) -> None:
    report = hospital.report()
    context = chromium.new_context(java_script_enabled=False, base_url=hospital.server.url)
    screen._sign_in(context, hospital.world.technician)
    page = context.new_page()
    page.goto(f"/cases/{report.pk}/")
    expect(page.get_by_alt_text("as the microscope sent it")).to_be_visible()
    expect(page.get_by_alt_text("with the found cells outlined")).to_be_visible()
    photograph(page, "case-no-scripts-1280")


def test_the_viewer_keeps_to_the_standard(hospital: Any, screen: Any, photograph: Any) -> None:
    report = two_fields(hospital)
    for width, dark in [(1280, False), (390, False), (1280, True)]:
        page = screen(hospital.world.haematologist, f"/cases/{report.pk}/", width=width, dark=dark)
        outlined(page)
        photograph(page, f"viewer-{width}{'-dark' if dark else ''}")
        check(page)
