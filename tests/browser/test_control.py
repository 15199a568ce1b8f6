"""Held pictures, control slides and mix-ups as people see them: accessible, and photographed."""

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import expect

from diagnostics.models import ControlRun, ControlSlide, FieldImage, MixUp
from diagnostics.services import intake
from tests.browser.conftest import NARROW, WIDE
from tests.browser.hospital import Hospital, report_of
from tests.browser.scenes import CLEAR_BENIGN, CLEAR_PRE, PEOPLE, _patient, specimen_of
from tests.browser.smears import smear
from tests.browser.test_looks import check
from tests.world import content_digest, result_of, store_result

SIZES = [(WIDE, False), (NARROW, False), (WIDE, True)]
FIGURES = [(1.78, 231), (1.82, 229), (1.8, 226), (1.75, 224), (1.77, 219), (1.7, 212), (1.42, 204)]


class Lab:
    """A microscope whose lamp wears out until its control fails, and one picture sent twice."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        self.world = hospital.world
        hospital.do(self._controls)
        self.specimen = hospital.do(self._specimen, 0)
        self.other = hospital.do(self._specimen, 1)
        self.report = self._held_case()
        self.mix_up = hospital.do(self._mixed_up)

    def _specimen(self, number: int) -> Any:
        return specimen_of(_patient(self.hospital, *PEOPLE[number]), f"N-2026-051{number}")

    def _controls(self) -> None:
        ControlSlide.objects.filter(pk=self.world.control_slide.pk).update(
            ranges={"focus": [1.6, 2.0], "brightness": [210, 240]}
        )
        self.world.device.control_hours = 24
        self.world.device.save()
        for number, (focus, brightness) in enumerate(FIGURES):
            image = self._take(smear("Benign", 90 + number), "N-CONTROL")
            analysis = self.world.claim(image)
            result = result_of(analysis, CLEAR_BENIGN, "classified")
            result["quality"] = {
                "metrics": {"focus": focus, "brightness": brightness, "contrast": 150 - number}
            }
            assert store_result(analysis, outcome="classified", rejection="", result=result)
            at = timezone.now() - timedelta(days=6 - number, hours=1)
            ControlRun.objects.filter(pk=image.pk).update(at=at)

    def _held_case(self) -> Any:
        for _ in range(3):
            report = self.hospital.read(self.hospital.send(specimen=self.specimen), CLEAR_PRE)
        return report

    def _mixed_up(self) -> MixUp:
        body = smear("Pre", 55)
        self._take(body, self.specimen.accession)
        self._take(body, self.other.accession)
        return MixUp.objects.get()

    def _take(self, body: bytes, label: str) -> FieldImage:
        image, _ = intake.receive(
            device=self.world.device,
            image_id=uuid.uuid4(),
            body=body,
            content_digest=content_digest(body),
            accession=label,
            captured_at=timezone.now(),
        )
        return image


def test_held_pictures_controls_and_mix_ups(hospital: Any, screen: Any, photograph: Any) -> None:
    lab = Lab(hospital)
    reader = hospital.world.technician
    addresses = {
        "worklist-held": "/worklist/?show=held",
        "case-held": f"/cases/{lab.report.pk}/",
        "controls": f"/fleet/{hospital.world.device.pk}/controls/",
        "mix-up": f"/mix-ups/{lab.mix_up.pk}/",
    }
    for width, dark in SIZES:
        for name, address in addresses.items():
            page = screen(reader, address, width=width, dark=dark)
            for summary in page.locator("details[id^=release] summary:visible").all():
                summary.click()
            photograph(page, f"{name}-{width}{'-dark' if dark else ''}")
            check(page)
            page.context.close()


def test_a_technician_releases_a_picture_and_settles_a_mix_up(hospital: Any, screen: Any) -> None:
    lab = Lab(hospital)
    page = screen(hospital.world.technician, f"/cases/{lab.report.pk}/")
    expect(page.locator("#case-held")).to_contain_text("4 of 4 pictures are held")
    page.locator("details[id^=release-] summary:visible", has_text="Release or set aside").click()
    page.get_by_label("Why", exact=True).locator("visible=true").fill("the lamp was bright enough")
    page.get_by_role("button", name="Release", exact=True).click()
    expect(page.locator("#messages")).to_contain_text("Released")
    expect(page.locator("#case-held")).to_contain_text("3 of 4 pictures are held")

    page.get_by_role("link", name="Settle the mix-up").click()
    page.get_by_role("button", name="Settle").click()  # nothing chosen: the browser asks for it
    page.get_by_role("radio", name="Lindqvist, Elin").check()
    page.get_by_label("How you know").fill("looked at both slides")
    page.get_by_role("button", name="Settle").click()
    expect(page.locator("main")).to_contain_text("Settled: it belongs to the first specimen")
    fields = hospital.do(report_of, lab.specimen).findings["fields"]
    # Kept out by the failed control still.
    assert fields == {"total": 4, "held": 3, "classified": 1}
    lost = hospital.do(report_of, lab.other).findings["fields"]
    assert lost == {"total": 1, "set_aside": 1}
