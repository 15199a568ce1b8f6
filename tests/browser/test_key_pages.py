"""The microscope's keys in the admin: every page looked at, the sheet printed and its code read."""

import uuid
from typing import Any

import cv2
import httpx
import numpy as np
import zxingcpp
from playwright.sync_api import Page, expect

from devices.services import keys, registry
from tests.browser.conftest import NARROW, WIDE
from tests.browser.test_looks import check
from tests.world import SETUP, content_digest


def make_code(page: Page) -> str:
    """Press the buttons; returns the code that is shown."""
    page.get_by_role("link", name="Make a code").click()
    page.get_by_role("button", name="Make a code").click()
    return page.locator("#code").inner_text()


def address(hospital: Any) -> str:
    return f"/admin/devices/device/{hospital.world.device.pk}/change/"


def test_the_sheet(hospital: Any, screen: Any, photograph: Any) -> None:
    manager = hospital.world.device_manager
    for width, dark in [(WIDE, False), (NARROW, False), (WIDE, True), (NARROW, True)]:
        page = screen(manager, address(hospital), width=width, dark=dark)
        code = make_code(page)
        photograph(page, f"code-{width}{'-dark' if dark else ''}")
        check(page)
        picture = page.locator(".sheet .code img").screenshot()
        seen = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
        (read,) = zxingcpp.read_barcodes(seen)
        assert f"code={code}&serial=SN-1" in read.text
    page.emulate_media(media="print", color_scheme="light")
    page.set_viewport_size({"width": 794, "height": 1123})
    photograph(page, "code-print")


def test_from_the_registry_to_the_worklist(hospital: Any, screen: Any) -> None:
    """The way of docs/microscopes.md: added, a code made, enrolled, a picture on the worklist."""
    world = hospital.world
    page = screen(world.device_manager, "/admin/")
    page.get_by_role("link", name="Microscopes", exact=True).last.click()
    page.get_by_role("link", name="Add microscope").click()
    page.get_by_label("Clinic").select_option(label="North Clinic")
    for label, text in [("Name", "Bench 7"), ("Make", "Optika"), ("Model", "W1")]:
        page.get_by_label(f"{label}:", exact=True).fill(text)
    page.get_by_label("Serial number").fill("W1-0042")
    page.get_by_role("button", name="Save and continue editing").click()
    code = make_code(page)

    with httpx.Client(base_url=hospital.server.url) as line:
        typed = {"code": code.lower(), "serial": "W1-0042"}
        told = line.post("/api/device/v1/enrol", json=typed).json()
        assert told["device"]["name"] == "Bench 7"
        body = world.smear(1)
        answer = line.put(
            f"/api/device/v1/images/{uuid.uuid4()}",
            content=body,
            headers={
                "Authorization": f"Bearer {told['key']}",
                "Content-Digest": content_digest(body),
                "Accession-Number": world.specimen.accession,
            },
        )
        assert answer.status_code == 201
    page.get_by_role("link", name="Done").click()
    expect(page.locator(".field-state")).to_contain_text("Active")
    worklist = screen(world.technician, "/worklist/")
    expect(worklist.get_by_text(world.specimen.accession).first).to_be_visible()


def test_the_microscopes_page(hospital: Any, screen: Any, photograph: Any) -> None:
    def history() -> None:
        """Keys in every standing, and a code."""
        device = hospital.world.device
        old = keys.authenticate(hospital.world.key)
        keys.authenticate(keys.renew_key(key=old)[0])
        keys.issue_key(actor=SETUP, device=device)
        keys.rotate_keys(actor=SETUP, device=device)
        keys.renew_key(key=device.keys.live().exclude(last_used_at=None).get())

    hospital.do(history)
    manager = hospital.world.device_manager
    for width, dark in [(WIDE, False), (NARROW, False), (WIDE, True)]:
        page = screen(manager, address(hospital), width=width, dark=dark)
        if width == WIDE and not dark:
            make_code(page)
            page.get_by_role("link", name="Done").click()
        photograph(page, f"microscope-keys-{width}{'-dark' if dark else ''}")


def test_a_retired_one_comes_back(hospital: Any, screen: Any, photograph: Any) -> None:
    device = hospital.world.device
    hospital.do(registry.change_state, actor=SETUP, device=device, to="retired")
    page = screen(hospital.world.device_manager, address(hospital), width=NARROW)
    page.get_by_role("link", name="Reinstate").click()
    photograph(page, f"reinstate-{NARROW}")
    page.get_by_label("Reason").fill("Repaired by the maker")
    page.get_by_role("button", name="Reinstate").click()
    page.get_by_text("Make a code for it").wait_for()
