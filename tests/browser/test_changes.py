"""Two readers and a patient at once: two names, a change that reaches its readers, a withdrawal."""

from typing import Any

from playwright.sync_api import Page, expect

from diagnostics.models import DiagnosticReport
from hospital.accounts.models import Clinic, User
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role, open_account
from tests.browser.test_live import SPECIALIST, live
from tests.browser.test_looks import check
from tests.world import PASSWORD, SETUP


def colleague(hospital: Any) -> User:
    """Another haematologist of the clinic."""

    def hire() -> User:
        user = open_account(
            actor=SETUP, username="colleague", password=PASSWORD, full_name="Ines Duarte"
        )
        clinic = hospital.world.clinic
        grant_role(actor=SETUP, user=user, clinic=clinic, role=Role.HAEMATOLOGIST)
        return user

    return hospital.do(hire)


def shown(page: Page) -> Page:
    """Once the field was in view for long enough."""
    page.locator("#scope").scroll_into_view_if_needed()
    expect(page.locator("#fields-left")).to_contain_text("The field was shown to you")
    return page


def case(hospital: Any, screen: Any, who: User, report: DiagnosticReport) -> Page:
    return shown(live(screen(who, f"/cases/{report.pk}/")))


def test_two_readers_and_a_patient_at_once(hospital: Any, screen: Any, photograph: Any) -> None:
    """One reads, the other disagrees, then agrees; the family sees it when both names stand.

    Who was about to sign when the first had read is told so, and keeps what they had typed.
    """
    clinic = Clinic.objects.filter(pk=hospital.world.clinic.pk)
    hospital.do(lambda: clinic.update(second_reader="malignant"))
    report = hospital.report()
    first = case(hospital, screen, hospital.world.haematologist, report)
    second = case(hospital, screen, colleague(hospital), report)
    family = live(screen(hospital.world.guardian, "/portal/"))

    second.get_by_label("Comment").fill("My own view.")
    first.get_by_role("radio", name="Pre-B ALL", exact=True).check()
    first.get_by_label("Your password").fill(PASSWORD)
    first.get_by_role("button", name="Review and sign").click()
    expect(first.get_by_text("another haematologist confirms it")).to_be_visible()
    expect(second.locator("#case-status")).to_contain_text("Read by Hana Sato")
    expect(family.get_by_text("No report yet")).to_be_visible()
    expect(second.get_by_text("Somebody else has just read or signed")).to_be_visible()
    expect(second.get_by_label("Comment")).to_have_value("My own view.")
    shown(second).get_by_role("link", name="Show the report as it stands").click()
    live(second)
    photograph(second, "second-reader-1280")
    check(second)

    second.get_by_text("I read it otherwise").click()
    second.get_by_label("Why it goes back").fill("Look at field 1 again.")
    second.get_by_role("button", name="Send back").click()
    expect(first.locator("#case-history")).to_contain_text("Look at field 1 again.")
    expect(first.locator("#case-status")).to_contain_text("Unverified")

    first.get_by_role("radio", name="Pro-B ALL").check()
    first.get_by_label("Your password").fill(PASSWORD)
    first.get_by_role("button", name="Review and sign").click()
    # Whose page does not know it yet signs on their own, and is told that somebody was quicker.
    expect(second.locator("#case-status")).to_contain_text("Read by Hana Sato")
    second.get_by_label("Your password").fill(PASSWORD)
    second.get_by_role("button", name="Confirm and sign").click()
    expect(second.locator("#case-status")).to_contain_text(
        "Signed: Pro-B ALL by Ines Duarte and Hana Sato"
    )
    expect(first.locator("#case-status")).to_contain_text("Signed: Pro-B ALL")
    expect(family.get_by_text(SPECIALIST, exact=True)).to_be_visible()


def test_a_changed_report_reaches_those_who_read_the_first(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    """Without a reload: the family's open page, the colleague's worklist and case."""
    report = hospital.report()
    hospital.sign(report, "pre_b")
    family = live(screen(hospital.world.guardian, f"/portal/reports/{report.pk}/"))
    expect(family.get_by_role("heading", name=SPECIALIST)).to_be_visible()
    technician = live(screen(hospital.world.technician, f"/cases/{report.pk}/"))
    technician.goto("/worklist/")
    live(technician)

    page = case(hospital, screen, hospital.world.haematologist, report)
    page.get_by_role("link", name="Amend or correct").click()
    expect(page.get_by_text("Nadia Rahman")).to_be_visible()
    photograph(page, "amend-1280")
    check(page)
    page.get_by_role("radio", name="Correct: it was wrong").check()
    page.get_by_label("Reason").fill("Haematogones after an infection.")
    page.get_by_role("radio", name="Benign").check()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Sign the change").click()
    expect(page.locator("#case-status")).to_contain_text("Corrected: Benign")

    expect(family.get_by_text("A doctor changed this report")).to_be_visible()
    expect(family.get_by_text("This replaces what you read on")).to_be_visible()
    expect(family.get_by_role("heading", name="Good news")).to_be_visible()
    photograph(family, "portal-changed-1280")
    check(family)
    expect(technician.get_by_text("Changed since you read it")).to_be_visible()
    photograph(technician, "worklist-changed-1280")
    check(technician)
    technician.locator("#changed-since a").click()
    expect(technician.get_by_text("This report was changed since you read it")).to_be_visible()
    expect(technician.locator("#case-history")).to_contain_text("has read what stands now")
    photograph(technician, "case-changed-1280")
    check(technician)
    technician.locator("#case-history a[href*='/versions/']").last.click()
    expect(technician.get_by_text("has taken its place")).to_be_visible()
    photograph(technician, "version-1280")
    check(technician)


def test_a_withdrawn_report_lets_go_of_the_familys_page(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    report = hospital.report()
    hospital.sign(report, "pre_b")
    family = live(screen(hospital.world.guardian, f"/portal/reports/{report.pk}/", width=390))
    expect(family.get_by_role("heading", name=SPECIALIST)).to_be_visible()
    page = live(screen(hospital.world.haematologist, f"/cases/{report.pk}/"))
    page.get_by_role("link", name="Withdraw").click()
    page.get_by_label("Reason").fill("Another patient's tube.")
    photograph(page, "withdraw-1280")
    check(page)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Withdraw the report").click()
    expect(page.locator("#case-status")).to_contain_text("Withdrawn")
    expect(page.get_by_role("link", name="PDF")).to_have_count(0)

    expect(family.get_by_role("heading", name="This report was withdrawn")).to_be_visible()
    expect(family.get_by_text(SPECIALIST)).to_have_count(0)
    expect(family.get_by_role("link", name="PDF")).to_have_count(0)
    photograph(family, "portal-withdrawn-390")
    check(family)
