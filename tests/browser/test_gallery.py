"""Cells, heat map and keys: what a reader does without leaving the case."""

import io
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from diagnostics.models import CellCall, HeatMap
from diagnostics.services import heat, references
from tests.browser.test_case import opened
from tests.browser.test_looks import check
from tests.browser.test_viewer import outlined, two_fields
from tests.world import add_patient, add_specimen


def case(hospital: Any, screen: Any, who: str = "haematologist") -> Page:
    return outlined(opened(hospital, screen, two_fields(hospital), who))


def chosen(page: Page) -> Any:
    return page.get_by_role("button", pressed=True).and_(page.locator(".cell"))


def calls(hospital: Any) -> list[str]:
    standing = CellCall.objects.filter(undone_at=None)
    return hospital.do(lambda: list(standing.values_list("label", flat=True)))


def test_a_cell_is_named_by_click_and_by_key_and_taken_back(hospital: Any, screen: Any) -> None:
    """The uncertain first; what was said moves the cell to its group, for everybody."""
    page = case(hospital, screen)
    groups = page.locator("#gallery-groups h3")
    expect(groups.first).to_contain_text("Uncertain")
    page.locator(".cell").first.click()
    expect(page.locator("#cell-told")).to_contain_text("grouped by the reading of its field")
    expect(page.locator(".outlines .is-marked")).to_have_count(1)
    page.get_by_role("button", name="Not a cell", exact=True).click()
    expect(page.locator("#cell-told")).to_contain_text("Not a cell, says Hana Sato")
    expect(page.locator("#case-counts")).to_contain_text("Not a cell")
    page.keyboard.press("3")
    expect(page.locator("#cell-told")).to_contain_text("Pre-B ALL, says Hana Sato")
    assert calls(hospital) == ["artefact", "pre_b"]
    page.keyboard.press("u")
    expect(page.locator("#cell-told")).to_contain_text("Not a cell, says Hana Sato")
    page.get_by_role("button", name="Take my last one back").click()
    expect(page.locator("#cell-told")).to_contain_text("grouped by the reading of its field")
    assert calls(hospital) == []


def test_a_cell_is_dragged_to_another_group_and_taken_back(hospital: Any, screen: Any) -> None:
    """Also to a group that has no cell yet; the cell is then like one named by click."""
    page = case(hospital, screen)
    cell = page.locator("[data-group=uncertain] .cell").first
    name = cell.get_attribute("id")
    cell.hover()
    page.mouse.down()
    page.mouse.move(400, 400)
    page.locator("[data-group=artefact]").hover()
    page.mouse.up()
    expect(page.locator(f"[data-group=artefact] #{name}")).to_be_visible()
    assert calls(hospital) == ["artefact"]
    expect(page.locator("[data-group=other]")).to_have_count(0)
    page.keyboard.press("u")
    expect(page.locator(f"[data-group=uncertain] #{name}")).to_be_visible()
    assert calls(hospital) == []


def test_two_readers_see_each_others_calls(hospital: Any, screen: Any) -> None:
    report = two_fields(hospital)
    one = outlined(opened(hospital, screen, report, "haematologist"))
    other = outlined(opened(hospital, screen, report, "technician"))
    other.locator(".cell").first.click()
    one.locator(".cell").first.click()
    one.get_by_role("button", name="Another cell", exact=True).click()
    expect(other.locator("#cell-told")).to_contain_text("Another cell, says Hana Sato")
    expect(other.get_by_role("button", name="Take my last one back")).to_be_hidden()


def test_a_field_without_cells_shows_none_of_its_neighbours(hospital: Any, screen: Any) -> None:
    hospital.report()
    report = hospital.fail(hospital.send())
    page = outlined(opened(hospital, screen, report, "technician"))
    expect(page.locator(".cell").first).to_be_visible()
    page.keyboard.press("f")
    expect(page.get_by_text("No outlines: the analysis failed")).to_be_visible()
    expect(page.locator(".cell")).to_have_count(0)


def test_the_cells_of_all_fields_are_shown_on_request(hospital: Any, screen: Any) -> None:
    page = case(hospital, screen)
    before = page.locator(".cell").count()
    page.get_by_role("button", name="Show the cells of all fields").click()
    expect(page.locator('.cell[aria-label*="Field 2"]').first).to_be_visible()
    assert page.locator(".cell").count() > before


def test_signed_cells_that_look_alike_stand_beside_the_chosen_one(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    """Fetched when they are opened, and again for the next cell; they are called alike, no more."""
    for number, kind in enumerate(["Pre", "Benign", "Early", "Pre"]):
        patient = hospital.do(add_patient, hospital.world.clinic, f"N-R{number}", "Keita", "Moussa")
        specimen = hospital.do(add_specimen, patient, f"N-REF-{number}")
        report = hospital.read(hospital.send(kind=kind, specimen=specimen))
        hospital.sign(report, "benign" if kind == "Benign" else "pre_b")
    hospital.do(references.collect)
    page = case(hospital, screen)
    page.locator(".cell").first.click()
    page.get_by_text("Signed cells that look alike").click()
    shown = page.locator("#alike-cells li")
    expect(shown.first).to_contain_text("case signed as")
    expect(page.get_by_text("not a reading of this cell")).to_be_visible()
    photograph(page, "gallery-alike-1280")
    check(page)
    first = shown.first.locator("img").get_attribute("src")
    assert first and "N-R" not in page.locator("#alike").inner_text()
    with page.expect_response("**/alike/"):
        page.locator(".cell").last.click()


def test_keys_of_the_review(hospital: Any, screen: Any) -> None:
    """A class, another one, undo, and on to the signature; nothing while typing."""
    page = case(hospital, screen)
    page.keyboard.press("2")
    expect(page.get_by_role("radio", name="Early Pre-B ALL")).to_be_checked()
    page.keyboard.press("1")
    expect(page.get_by_role("radio", name="Benign")).to_be_checked()
    page.keyboard.press("u")
    expect(page.get_by_role("radio", name="Early Pre-B ALL")).to_be_checked()
    page.keyboard.press("s")
    expect(page.get_by_label("Your password")).to_be_focused()
    field = page.locator("#case-field").get_attribute("data-field")
    page.keyboard.type("fj1?")
    expect(page.get_by_label("Your password")).to_have_value("fj1?")
    expect(page.locator("#case-field")).to_have_attribute("data-field", field or "")
    expect(page.get_by_role("radio", name="Early Pre-B ALL")).to_be_checked()


def test_keys_are_changed_and_switched_off_and_stay_so(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    page = case(hospital, screen)
    drawing = page.locator("svg.outlines")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    photograph(page, "case-keys-1280")
    check(page)
    dialog.get_by_label("Outlines on and off").press("x")
    page.keyboard.press("Escape")
    page.reload()
    outlined(page)
    page.keyboard.press("o")
    expect(drawing).to_have_css("opacity", "0.9")
    page.keyboard.press("x")
    expect(drawing).to_have_css("opacity", "0")
    page.get_by_role("button", name="Keys").click()
    dialog.get_by_label("Use single keys").uncheck()
    dialog.get_by_role("button", name="Close").click()
    page.keyboard.press("x")
    expect(drawing).to_have_css("opacity", "0")


def test_the_next_case_is_one_key_away(hospital: Any, screen: Any) -> None:
    page = case(hospital, screen)
    page.keyboard.press("j")
    page.wait_for_url("**/worklist/")
    expect(page.get_by_text("No other case in this direction")).to_be_visible()


def test_a_heat_map_is_drawn_on_request_and_says_what_it_is(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    """Off until asked for, 'being drawn' until a worker has drawn it, off in the next case."""
    page = case(hospital, screen)
    expect(page.get_by_label("Heat map", exact=True)).not_to_be_checked()
    assert not hospital.do(HeatMap.objects.exists)
    # The page says so at once; a worker finds it when the server has it.
    with page.expect_response(lambda answer: answer.url.endswith("/heat-map/")):
        page.keyboard.press("h")
    expect(page.get_by_text("The heat map is being drawn")).to_be_visible()
    expect(page.get_by_text("Where the model looked, not where the disease is")).to_be_visible()
    with page.expect_response(lambda answer: answer.url.endswith("/heat")) as fetched:
        hospital.do(draw)
    assert fetched.value.status == 200
    expect(page.get_by_text("The heat map is being drawn")).to_be_hidden()
    photograph(page, "case-heat-1280")
    check(page)
    page.reload()
    outlined(page)
    expect(page.get_by_label("Heat map", exact=True)).not_to_be_checked()


def draw() -> None:
    """A worker draws the map that is waited for."""
    picture = Image.radial_gradient("L").resize((224, 224))
    layer = Image.merge("RGBA", [picture, picture.rotate(90), picture, picture])
    out = io.BytesIO()
    layer.save(out, "PNG")
    wanted = heat.claim()
    assert wanted is not None and heat.drawn(wanted, out.getvalue())


def test_the_gallery_keeps_to_the_standard(hospital: Any, screen: Any, photograph: Any) -> None:
    report = two_fields(hospital)
    for width, dark in [(1280, False), (390, False), (1280, True)]:
        page = screen(hospital.world.haematologist, f"/cases/{report.pk}/", width=width, dark=dark)
        outlined(page)
        page.get_by_role("button", name="Show the cells of all fields").click()
        page.locator('.cell[aria-label*="Field 2"]').first.click()
        photograph(page, f"gallery-{width}{'-dark' if dark else ''}")
        check(page)


def test_the_card_of_the_model(hospital: Any, screen: Any, photograph: Any) -> None:
    from ml import packages

    digest = packages.describe(packages.COMMITTED).digest
    for width in (1280, 390):
        page = screen(hospital.world.technician, f"/models/{digest}/", width=width)
        expect(page.get_by_role("heading", name="Limits, and shortcuts")).to_be_visible()
        photograph(page, f"model-card-{width}")
        check(page)
