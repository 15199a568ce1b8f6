"""What happens at the microscope is on the screens without anybody reloading a page."""

import re

from django.core.management import call_command  # noqa: F401
from playwright.sync_api import expect

from hospital.accounts.models import ReleaseRule
from tests.world import SURE


def test_both_screens_follow_the_microscope(hospital, screen) -> None:
    """The paper's way: the clinic and the patient see the result as soon as there is one."""
    hospital.world.clinic.release_rule = ReleaseRule.IMMEDIATE
    hospital.do(hospital.world.clinic.save)
    worklist = screen(hospital.world.technician, "/worklist/")
    portal = screen(hospital.world.guardian, "/portal/")
    expect(worklist.locator("#live")).to_have_attribute("data-state", "live")
    expect(portal.locator("#live")).to_have_attribute("data-state", "live")
    expect(worklist.get_by_text("No reports yet")).to_be_visible()
    expect(portal.get_by_text("No report yet")).to_be_visible()

    image = hospital.send()

    row = worklist.get_by_role("row", name=re.compile("N-2026-0001"))
    expect(row).to_contain_text("0 of 1")
    expect(row).to_contain_text("Being analysed")
    expect(portal.get_by_text("No report yet")).to_be_visible()

    hospital.read(image, SURE)

    expect(row).to_contain_text("Suggests Pre-B ALL")
    expect(worklist.locator("#news")).to_have_text("N-2026-0001: Suggests Pre-B ALL")
    expect(
        portal.get_by_text("Please see a specialist about this result", exact=True)
    ).to_be_visible()
    expect(portal.get_by_text("Not yet reviewed by a doctor", exact=True)).to_be_visible()
