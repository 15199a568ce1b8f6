"""The fleet on a screen: accessible, photographed, and true without a reload."""

from typing import Any

from playwright.sync_api import expect

from devices.models import AlertKind
from devices.services.alerts import clear_alert, raise_alert
from devices.services.health import take_heartbeat
from tests.browser.conftest import NARROW, WIDE
from tests.browser.fleet_scene import FleetScene
from tests.browser.test_live import live
from tests.browser.test_looks import check

LOOKS = [(WIDE, False), (NARROW, False), (WIDE, True), (NARROW, True)]


def test_the_fleet_and_a_microscope(hospital: Any, screen: Any, photograph: Any) -> None:
    scene = hospital.do(FleetScene, hospital.world)
    for width, dark in LOOKS:
        name = f"{width}{'-dark' if dark else ''}"
        fleet = live(screen(hospital.world.superuser, "/fleet/", width=width, dark=dark))
        photograph(fleet, f"fleet-{name}")
        check(fleet)
        page = screen(
            hospital.world.device_manager, f"/fleet/{scene.worn.pk}/", width=width, dark=dark
        )
        expect(page.get_by_text("Drifting.")).to_be_visible()
        page.locator("#figures-brightness summary").click()
        photograph(page, f"fleet-device-{name}")
        check(page)


def test_an_empty_fleet_and_an_unheard_microscope(
    hospital: Any, screen: Any, photograph: Any
) -> None:
    world = hospital.world
    page = screen(world.technician, f"/fleet/{world.device.pk}/", width=NARROW)
    photograph(page, "fleet-device-empty-390")
    check(page)


def test_the_configuration_form(hospital: Any, screen: Any, photograph: Any) -> None:
    world = hospital.world
    page = screen(world.device_manager, f"/admin/devices/device/{world.device.pk}/configuration/")
    photograph(page, "admin-configuration-1280")
    page.get_by_label("Heartbeat every").fill("30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("told with its next heartbeat")).to_be_visible()


def test_an_alert_is_on_every_screen_at_once_and_gone_when_it_is_over(
    hospital: Any, screen: Any
) -> None:
    world = hospital.world
    fleet = live(screen(world.device_manager, "/fleet/"))
    page = live(screen(world.technician, f"/fleet/{world.device.pk}/"))
    worklist = live(screen(world.technician, "/worklist/"))
    tile = fleet.get_by_role("article")
    expect(tile).to_contain_text("Not heard yet")

    hospital.do(raise_alert, device=world.device, kind=AlertKind.DISK, detail="0.4 GB left.")

    expect(tile).to_contain_text("Needs attention")
    expect(tile).to_contain_text("0.4 GB left.")
    expect(fleet.locator("#news")).to_have_text("Bench SN-1: Needs attention")
    expect(page.locator("#now")).to_contain_text("Disk nearly full")
    expect(worklist.locator("#to-fleet")).to_contain_text("1 open alert")

    hospital.do(clear_alert, device=world.device, kind=AlertKind.DISK)

    expect(tile).to_contain_text("Not heard yet")
    expect(page.locator("#alerts")).not_to_contain_text("open")
    expect(worklist.locator("#to-fleet")).not_to_contain_text("open alert")


def test_figures_are_fetched_now_and_then_without_an_event(hospital: Any, screen: Any) -> None:
    """A heartbeat is no event; the page looks by itself."""
    device = hospital.world.device
    page = screen(hospital.world.device_manager, "/login/")
    page.clock.install()
    page.goto("/fleet/")
    live(page)
    hospital.do(take_heartbeat, device=device, report={"queue_length": 7})
    page.clock.fast_forward(25_000)
    expect(page.get_by_role("article")).to_contain_text("Fine")
