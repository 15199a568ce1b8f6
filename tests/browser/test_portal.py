"""The portal in a browser: levels, pictures for those who want them, amendments, and who looked."""

from typing import Any

from playwright.sync_api import Page, expect

from diagnostics.models import DiagnosticReport, FieldImage
from patients.models import PortalAccess
from patients.services import revoke_portal_access
from tests.browser.conftest import NARROW, WIDE
from tests.browser.scenes import released
from tests.browser.test_case import look_at_all
from tests.browser.test_live import live
from tests.browser.test_looks import check
from tests.diagnostics.test_portal_news import amend
from tests.world import PASSWORD, SETUP, look_and_sign


def shown(hospital: Any) -> None:
    """The pipeline's word that the pictures can be shown."""
    hospital.do(FieldImage.objects.update, state="accepted")


def test_the_levels_and_the_pictures(hospital: Any, screen: Any, photograph: Any) -> None:
    report = released(hospital, conclusion="pre_b", kind="Pre")
    shown(hospital)
    guardian, path = hospital.world.guardian, f"/portal/reports/{report.pk}/"
    for width, dark in [(WIDE, False), (NARROW, False), (NARROW, True)]:
        name = f"{width}{'-dark' if dark else ''}"
        page = screen(guardian, path, width=width, dark=dark)
        expect(page.get_by_role("heading", name="What it cannot tell")).to_be_visible()
        expect(page.locator("#pictures img.is-original")).not_to_be_visible()
        page.get_by_role("link", name="Detailed").click()
        expect(page.get_by_text("flow cytometry")).to_be_visible()
        photograph(page, f"portal-detailed-{name}")
        check(page)
        page.get_by_role("link", name="Simple").click()
        expect(page.get_by_text("Nobody did anything wrong")).to_be_visible()
        page.goto(path)
        expect(page.get_by_text("Nobody did anything wrong")).to_be_visible()
        page.get_by_text("See the blood under the microscope").click()
        page.get_by_label("Draw a line").check()
        expect(page.locator("#pictures img.is-overlay").first).to_be_visible()
        photograph(page, f"portal-simple-{name}")
        check(page)


def test_nothing_on_the_page_jumps(hospital: Any, screen: Any) -> None:
    """Pictures have their sizes; what comes later pushes nothing away."""
    report = released(hospital, conclusion="benign", kind="Benign")
    page = screen(hospital.world.guardian, "/portal/", width=NARROW)
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) "
        "window.shift += e.value; }).observe({type: 'layout-shift', buffered: true});"
    )
    page.goto(f"/portal/reports/{report.pk}/")
    live(page)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shift") < 0.1


def test_an_amended_report_reaches_the_open_page_of_its_reader(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    report = released(hospital, conclusion="benign", kind="Benign")
    page = live(screen(hospital.world.guardian, f"/portal/reports/{report.pk}/"))
    expect(page.get_by_role("heading", name="Good news")).to_be_visible()
    fresh = hospital.do(_loaded, report)
    hospital.do(amend, hospital.world, fresh, "pro_b")
    expect(page.get_by_role("heading", name="Please see a specialist")).to_be_visible()
    expect(page.get_by_text("This replaces what you read on")).to_be_visible()
    photograph(page, "portal-replaced-1280")
    check(page)


def _loaded(report: DiagnosticReport) -> DiagnosticReport:
    rows = DiagnosticReport.objects.select_related("specimen", "clinic", "patient", "signed_by")
    return rows.get(pk=report.pk)


def test_a_revoked_guardian_loses_the_open_page_at_once(hospital: Any, screen: Any) -> None:
    report = released(hospital, conclusion="benign", kind="Benign")
    page = live(screen(hospital.world.guardian, f"/portal/reports/{report.pk}/"))

    def revoke() -> None:
        access = PortalAccess.objects.select_related("patient").get(user=hospital.world.guardian)
        revoke_portal_access(actor=SETUP, access=access)

    hospital.do(revoke)
    # Nothing else is open to them: the sign-in page is all that is left.
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Good news")).not_to_be_visible()


def test_who_has_looked(hospital: Any, screen: Any, photograph: Any) -> None:
    world = hospital.world
    report = released(hospital, conclusion="benign", kind="Benign")
    for who in (world.technician, world.haematologist):
        screen(who, f"/cases/{report.pk}/").close()
    screen(world.guardian, f"/portal/reports/{report.pk}/").close()
    for width, dark in [(WIDE, False), (NARROW, False), (NARROW, True)]:
        page = screen(world.guardian, "/portal/", width=width, dark=dark)
        page.get_by_role("link", name="Who has looked").click()
        expect(page.get_by_text("Tara Lindt")).to_be_visible()
        expect(page.get_by_text("You", exact=True).first).to_be_visible()
        photograph(page, f"portal-looked-{width}{'-dark' if dark else ''}")
        check(page)


def open_words(page: Page) -> None:
    page.get_by_text("What the family reads").click()


def test_the_haematologist_rewrites_the_familys_words(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    report = hospital.report()
    page = screen(hospital.world.haematologist, f"/cases/{report.pk}/")
    look_at_all(page)
    page.get_by_role("radio", name="Benign").check()
    open_words(page)
    simple = page.locator("#id_simple_means")
    expect(simple).to_have_value("The blood cells look healthy. A doctor has looked at them.")
    page.locator("#id_plain_means").fill("Amina's cells look healthy to me.")
    page.get_by_role("radio", name="Undetermined").check()
    expect(simple).to_have_value(
        "The blood did not give a clear answer. A doctor has looked at it."
    )
    expect(page.locator("#id_plain_means")).to_have_value("Amina's cells look healthy to me.")
    page.get_by_role("radio", name="Benign").check()
    photograph(page, "case-words-1280")
    check(page)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Review and sign").click()
    expect(page.get_by_text("In the portal since")).to_be_visible()
    photograph(page, "case-family-1280")
    portal = screen(hospital.world.guardian, f"/portal/reports/{report.pk}/")
    expect(portal.get_by_text("Amina's cells look healthy to me.")).to_be_visible()


def test_the_call_opens_the_report_on_the_familys_open_page(hospital: Any, screen: Any) -> None:
    world = hospital.world
    hospital.do(world.release, "after_call")
    report = hospital.report()
    hospital.do(
        look_and_sign,
        user=world.haematologist,
        password=PASSWORD,
        report=hospital.do(_loaded, report),
        version=report.version,
        conclusion="pre_b",
    )
    family = live(screen(world.guardian, "/portal/"))
    staff = screen(world.haematologist, f"/cases/{report.pk}/")
    expect(staff.get_by_text("Not in the portal")).to_be_visible()
    expect(family.get_by_text("No report yet")).to_be_visible()
    staff.get_by_label("Name").fill("Mrs Rahman")
    staff.get_by_label("Whom").select_option("guardian")
    staff.get_by_role("radio", name="Told, and read back to me").check()
    staff.get_by_role("button", name="Keep this call").click()
    expect(family.locator(".item-title", has_text="Please see a specialist")).to_be_visible()
