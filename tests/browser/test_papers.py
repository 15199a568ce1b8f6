"""Paper: the page that checks it, the page that refuses it, and the sheets to look at."""

from typing import Any

from django.urls import reverse
from django.utils import translation
from playwright.sync_api import expect

from diagnostics.documents import setting
from diagnostics.documents.clinical import clinical
from diagnostics.documents.portal import portal
from diagnostics.documents.sheet import Sheet
from diagnostics.documents.statement import as_it_stands, of_version
from diagnostics.models import DiagnosticReport, ReportVersion
from diagnostics.services.printing import verification_address
from tests.browser.conftest import NARROW, PICTURES, WIDE
from tests.browser.scenes import Morning, released
from tests.browser.test_looks import check
from tests.diagnostics.test_documents import amended


def test_the_checking_page(hospital: Any, screen: Any, photograph: Any) -> None:
    report = released(hospital, conclusion="benign", kind="Benign")
    version = hospital.do(ReportVersion.objects.get, report=report)
    address = verification_address(version, site="")
    for width, dark in [(WIDE, False), (NARROW, False), (WIDE, True)]:
        page = screen(None, address, width=width, dark=dark)
        page.get_by_label("Number at the foot").fill(version.sha256)
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("This is the number of the signed record")).to_be_visible()
        photograph(page, f"verify-{width}{'-dark' if dark else ''}")
        check(page)
        page.get_by_label("Number at the foot").fill("abc")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("A digest has 64 digits")).to_be_visible()
        check(page)
    page = screen(None, address.replace(version.sha256[:16], "0" * 16))
    photograph(page, "verify-unknown-1280")
    check(page)


def test_the_page_of_what_is_not_printed(hospital: Any, screen: Any, photograph: Any) -> None:
    report = released(hospital, conclusion="pre_b", kind="Pre")
    hospital.do(DiagnosticReport.objects.filter(pk=report.pk).update, status="entered-in-error")
    page = screen(hospital.world.technician, reverse("case-pdf", args=[report.pk]))
    expect(page.get_by_text("withdrawn and is not printed")).to_be_visible()
    photograph(page, "not-printed-1280")
    check(page)


def test_the_sheets(hospital: Any) -> None:
    """Each kind of sheet as pictures beside the pages' own."""
    PICTURES.mkdir(exist_ok=True)
    main = Morning(hospital).main
    report = released(hospital, conclusion="pre_b", kind="Pre")

    def draw() -> dict[str, Sheet]:
        first = ReportVersion.objects.get(report=report)
        again = amended(hospital.world, first, conclusion="pro_b", comment="Seen again with CD10.")
        how = {"paper": "a4", "address": verification_address(again, site="https://h.example")}
        sheets = {
            "unsigned": clinical(as_it_stands(main), paper="a4", address=""),
            "superseded": clinical(of_version(first), **how),
            "amended": clinical(of_version(again), **how),
            "portal": portal(of_version(again), guardian=True, **how),
        }
        with translation.override("fa"):
            sheets["amended-fa"] = clinical(of_version(again), **how)
            sheets["portal-fa"] = portal(of_version(again), guardian=True, **how)
        return sheets

    for name, sheet in hospital.do(draw).items():
        pages = setting.pages(sheet.data, sheet.pictures, ppi=96)
        for number, page in enumerate(pages, start=1):
            assert page.startswith(b"\x89PNG")
            (PICTURES / f"paper-{name}-{number}.png").write_bytes(page)
