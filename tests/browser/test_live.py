"""What happens at the microscope is on the screens without anybody reloading a page."""

import re
import time
from typing import Any

from playwright.sync_api import Page, expect

from hospital.live.models import Event
from tests.browser.scenes import at_once
from tests.world import BENIGN, SURE

SPECIALIST = "Please see a specialist about this result"


def live(page: Page) -> Page:
    """The page, once its socket has been greeted."""
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    return page


def test_both_screens_follow_the_microscope(hospital: Any, screen: Any) -> None:
    """The paper's way: the clinic and the patient see the result as soon as there is one."""
    at_once(hospital)
    worklist = live(screen(hospital.world.technician, "/worklist/"))
    portal = live(screen(hospital.world.guardian, "/portal/"))
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
    expect(portal.get_by_text(SPECIALIST, exact=True)).to_be_visible()
    expect(portal.get_by_text("Not yet reviewed by a doctor", exact=True)).to_be_visible()


def test_the_other_clinic_sees_and_hears_nothing(hospital: Any, screen: Any) -> None:
    """Not even that something happened."""
    heard: list[str] = []
    page = screen(hospital.world.outsider, "/login/")
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))),
    )
    page.goto("/worklist/?show=all")
    live(page)
    stranger = live(screen(hospital.world.stranger, "/portal/"))
    at_once(hospital)
    ours = live(screen(hospital.world.technician, "/worklist/"))
    heard.clear()  # what its own clinic did before
    hospital.report()
    expect(ours.get_by_text("Suggests Pre-B ALL", exact=True)).to_be_visible()
    page.wait_for_timeout(1_500)  # more than a tick
    expect(page.get_by_text("No reports yet")).to_be_visible()
    expect(stranger.get_by_text("No report yet")).to_be_visible()
    assert any("tick" in frame for frame in heard)
    assert not any("event" in frame for frame in heard)


def test_the_patient_waits_for_the_signature(hospital: Any, screen: Any) -> None:
    """The usual rule: nothing before, and then it is there, and later changes reach it too."""
    portal = live(screen(hospital.world.guardian, "/portal/"))
    staff = live(screen(hospital.world.haematologist, "/worklist/"))
    report = hospital.report(BENIGN, kind="Benign")
    expect(staff.get_by_text("Suggests Benign (haematogones)", exact=True)).to_be_visible()
    expect(portal.get_by_text("No report yet")).to_be_visible()

    hospital.sign(report, "benign")

    expect(portal.get_by_text("Good news", exact=False).first).to_be_visible()
    expect(portal.get_by_text("Reviewed by a doctor", exact=True)).to_be_visible()
    expect(staff.get_by_text("Needs review 0")).to_be_visible()


def test_an_open_report_in_the_portal_turns_into_the_signed_one(hospital: Any, screen: Any) -> None:
    at_once(hospital)
    report = hospital.report()
    page = live(screen(hospital.world.guardian, f"/portal/reports/{report.pk}/"))
    expect(page.get_by_role("heading", name=SPECIALIST)).to_be_visible()
    page.get_by_text("See the blood under the microscope").click()
    page.get_by_label("Draw a line").check()
    hospital.sign(report, "undetermined")
    expect(page.get_by_role("heading", name="More tests are needed")).to_be_visible()
    expect(page.get_by_text("Reviewed and signed by Hana Sato")).to_be_visible()
    expect(page.get_by_label("Draw a line")).to_be_checked()


def test_a_page_that_was_cut_off_says_so_and_catches_up(hospital: Any, screen: Any) -> None:
    page = screen(hospital.world.technician, "/login/")
    page.clock.install()
    page.goto("/worklist/")
    live(page)
    hospital.server.stop()
    expect(page.locator("#live")).to_have_attribute("data-state", "reconnecting")
    page.clock.fast_forward(30_000)
    expect(page.locator("#live")).to_have_attribute("data-state", "offline")
    expect(page.get_by_text("this page may be out of date")).to_be_visible()
    image = hospital.do(hospital.world.receive)
    hospital.read(image.pk, SURE)

    hospital.server.start()
    page.clock.fast_forward(30_000)

    live(page)
    expect(page.get_by_text("Suggests Pre-B ALL", exact=True)).to_be_visible()


def test_an_event_that_was_never_pushed_arrives_with_the_next_tick(
    hospital: Any, screen: Any, monkeypatch: Any
) -> None:
    """The log is the truth, the push a courtesy."""
    monkeypatch.setattr("hospital.live.pusher.push", lambda events: None)
    page = live(screen(hospital.world.technician, "/worklist/"))
    hospital.report()
    assert hospital.do(Event.objects.exists)
    expect(page.get_by_text("Suggests Pre-B ALL", exact=True)).to_be_visible()


def test_a_page_for_which_nobody_reads_the_log_is_not_called_live(
    hospital: Any, screen: Any, settings: Any
) -> None:
    """An event that comes does not say that no other was missed."""
    settings.LIVE_TICK_SECONDS = 3_600.0
    page = screen(hospital.world.technician, "/login/")
    page.clock.install()
    page.goto("/worklist/")
    live(page)
    page.evaluate(
        """window.states = [];
        document.addEventListener("leukolens:state", (told) => states.push(told.detail));"""
    )
    page.clock.fast_forward(10_000)
    hospital.report()
    expect(page.get_by_text("Suggests Pre-B ALL", exact=True)).to_be_visible()
    page.clock.fast_forward(20_000)
    assert "offline" in page.evaluate("window.states")
    live(page)  # it has let go of that socket, and the next one looked


def test_a_list_held_still_waits(hospital: Any, screen: Any) -> None:
    """WCAG 2.2.2: what updates by itself can be paused."""
    page = live(screen(hospital.world.technician, "/worklist/"))
    page.get_by_role("button", name="Hold the list still").click()
    hospital.report()
    expect(page.get_by_text("Changes are waiting")).to_be_visible()
    expect(page.get_by_text("No reports yet")).to_be_visible()
    page.get_by_role("button", name="Hold the list still").click()
    expect(page.get_by_text("Suggests Pre-B ALL", exact=True)).to_be_visible()


def test_who_is_signed_out_elsewhere_loses_the_page(hospital: Any, screen: Any) -> None:
    """A screen left open does not go on showing patients."""
    hospital.report()
    page = live(screen(hospital.world.technician, "/worklist/"))
    second = page.context.new_page()
    second.goto("/worklist/")
    second.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_signs_out_leaves_the_next_person_no_page_of_theirs(hospital: Any, screen: Any) -> None:
    """The socket hears of the end before the browser has the answer to 'Sign out'."""
    page = live(screen(hospital.world.haematologist, "/worklist/"))

    def slowly(route: Any) -> None:
        answer = route.fetch(max_redirects=0)
        time.sleep(2)
        route.fulfill(response=answer)

    page.route("**/logout/", slowly)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("User name")).to_be_visible()
    assert "next=" not in page.url


def test_a_link_that_is_being_pressed_is_not_swapped_from_under_the_finger(
    hospital: Any, screen: Any
) -> None:
    """What came meanwhile is shown after the finger is lifted, and the press counts."""
    at_once(hospital)
    page = live(screen(hospital.world.guardian, "/portal/"))
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/portal/live/**", hold)
    hospital.read(hospital.send(), BENIGN)
    while not held:
        page.wait_for_timeout(50)
    page.get_by_role("link", name="Who has looked").hover()
    page.mouse.down()
    held.pop().continue_()
    page.unroute("**/portal/live/**", hold)
    page.wait_for_timeout(1_000)
    page.mouse.up()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Who has looked")
