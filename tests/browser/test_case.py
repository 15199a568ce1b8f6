"""Reading a case and putting a name to it, through the page."""

from typing import Any

from playwright.sync_api import Page, expect

from diagnostics.models import DiagnosticReport
from tests.browser.test_live import live
from tests.world import PASSWORD, UNSURE

# In one go: the page renews the link whenever it has told what was seen.
TURN = """() => {
    const following = document.getElementById("next-left");
    const shown = document.getElementById("case-field").dataset.field;
    if (following && following.dataset.next !== shown) following.click();
}"""


def opened(hospital: Any, screen: Any, report: DiagnosticReport, who: str) -> Page:
    return live(screen(getattr(hospital.world, who), f"/cases/{report.pk}/"))


def look_at_all(page: Page) -> None:
    """Every field is turned to for long enough."""
    page.locator("#scope").scroll_into_view_if_needed()
    left = page.locator("#fields-left")
    while int(left.get_attribute("data-left") or 0):
        page.evaluate(TURN)
        page.wait_for_timeout(300)


def test_signing_in_and_out(hospital: Any, screen: Any) -> None:
    """Each lands where they belong; a wrong password says so and keeps the name."""
    page = screen(None, "/")
    page.get_by_label("User name").fill("haematologist")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    expect(page.get_by_label("User name")).to_have_value("haematologist")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("User name").fill("guardian")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Blood smear reports")).to_be_visible()


def test_review_and_sign(hospital: Any, screen: Any) -> None:
    """Nothing chosen beforehand; a wrong password costs nothing that was typed."""
    page = opened(hospital, screen, hospital.report(), "haematologist")
    look_at_all(page)
    expect(page.locator("input[name=conclusion]:checked")).to_have_count(0)
    page.get_by_role("radio", name="Early Pre-B ALL").check()
    page.get_by_label("Comment").fill("Blasts in every field.")
    page.get_by_label("Your password").fill("not mine")
    page.get_by_role("button", name="Review and sign").click()

    expect(page.get_by_text("The password is not right")).to_be_visible()
    expect(page.get_by_role("radio", name="Early Pre-B ALL")).to_be_checked()
    expect(page.get_by_label("Comment")).to_have_value("Blasts in every field.")
    expect(page.get_by_label("Your password")).to_have_value("")
    expect(page.get_by_label("Your password")).to_be_focused()

    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Review and sign").click()
    expect(page.locator("#case-status")).to_contain_text("Signed: Early Pre-B ALL by Hana Sato")
    expect(page.locator("#case-history")).to_contain_text("frozen as")


def test_news_never_sweep_away_what_is_being_typed(hospital: Any, screen: Any) -> None:
    """A picture arrives in mid-sentence: the page moves on, the form and the focus stay."""
    report = hospital.report()
    page = opened(hospital, screen, report, "haematologist")
    page.get_by_role("radio", name="Pre-B ALL", exact=True).check()
    page.get_by_label("Comment").press_sequentially("Large blasts")

    hospital.read(hospital.send(), UNSURE)

    expect(page.locator("#case-summary")).to_contain_text("2 of 2")
    expect(page.get_by_text("The report has changed since you began")).to_be_visible()
    expect(page.get_by_label("Comment")).to_be_focused()
    page.keyboard.type(", few granules")
    expect(page.get_by_label("Comment")).to_have_value("Large blasts, few granules")

    look_at_all(page)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Review and sign").click()
    expect(page.get_by_role("alert")).to_contain_text("Look at it again")
    expect(page.get_by_label("Comment")).to_have_value("Large blasts, few granules")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Review and sign").click()
    expect(page.locator("#case-status")).to_contain_text("Signed: Pre-B ALL")


def test_having_looked_again_the_present_version_is_signed(hospital: Any, screen: Any) -> None:
    page = opened(hospital, screen, hospital.report(), "haematologist")
    page.get_by_role("radio", name="Undetermined").check()
    hospital.read(hospital.send(), UNSURE)
    # Arrived and read are two pieces of news: whoever looks after the first has not seen all.
    expect(page.locator("#case-summary")).to_contain_text("2 of 2")
    look_at_all(page)
    page.get_by_role("button", name="I have looked again").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Review and sign").click()
    expect(page.locator("#case-status")).to_contain_text("Signed: Undetermined")


def test_an_untouched_form_follows_the_report(hospital: Any, screen: Any) -> None:
    report = hospital.report()
    page = opened(hospital, screen, report, "haematologist")
    before = page.locator("#sign-version").input_value()
    hospital.read(hospital.send(), UNSURE)
    expect(page.locator("#case-summary")).to_contain_text("2 of 2")
    expect(page.locator("#sign-version")).not_to_have_value(before)
    expect(page.locator("#sign-changed")).to_be_hidden()


def test_two_readers_do_not_sign_the_same_report(hospital: Any, screen: Any) -> None:
    report = hospital.report()
    page = opened(hospital, screen, report, "haematologist")
    page.get_by_label("Comment").fill("My own view.")
    hospital.sign(report, "pre_b")
    expect(page.get_by_text("Somebody else has just read or signed")).to_be_visible()
    expect(page.get_by_label("Comment")).to_have_value("My own view.")
    expect(page.locator("#case-status")).to_contain_text("Signed: Pre-B ALL")


def test_a_failed_analysis_is_tried_again_with_one_click(hospital: Any, screen: Any) -> None:
    image = hospital.send()
    report = hospital.fail(image, "worker_lost")
    page = opened(hospital, screen, report, "technician")
    expect(page.get_by_text("The analysis stopped each time")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Queued again")).to_be_visible()
    expect(page.get_by_role("heading", name="Field 1")).to_be_focused()
    expect(page.locator(".verdict")).to_contain_text("Waiting for analysis")
    hospital.read(image)
    expect(page.locator("#case-summary")).to_contain_text("Suggests Pre-B ALL")


def test_verifying(hospital: Any, screen: Any) -> None:
    page = opened(hospital, screen, hospital.report(), "technician")
    expect(page.get_by_role("button", name="Review and sign")).to_have_count(0)
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#case-status")).to_contain_text("Verified by Tara Lindt")
