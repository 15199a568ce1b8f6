"""A hospital with a month behind it, for the dashboard to show."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from devices.models import AlertKind
from devices.services.alerts import raise_alert
from diagnostics.models import Analysis, DayTally, DiagnosticReport
from diagnostics.services import analyses, packages
from ml import packages as ml_packages
from tests.world import (
    BENIGN,
    SETUP,
    SURE,
    World,
    add_specimen,
    look_and_sign,
    result_of,
    store_result,
)

MIX = {"benign": 14, "early_pre_b": 6, "pre_b": 9, "pro_b": 5, "unfamiliar": 2, "unusable": 3}


class DashboardScene:
    """A month of readings, signed reports, a failure, a silent microscope, and two packages."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.first = packages.register(actor=SETUP, folder=ml_packages.COMMITTED)
        packages.activate(actor=SETUP, package=self.first)
        made = ml_packages.revise(
            ml_packages.verify(ml_packages.COMMITTED), folder, version="2.9", documents={}
        )
        self.second = packages.register(actor=SETUP, folder=made.folder)
        packages.shadow(actor=SETUP, package=self.second)
        self._month()
        for number in range(4):
            self._case(number)
        analyses.fail(world.claim(world.receive(91)), code="undecodable")
        raise_alert(device=world.device, kind=AlertKind.SILENT)
        world.claim(world.receive(92), worker="reader-2:811:815")
        world.receive(93)

    def _month(self) -> None:
        dice = random.Random(4)
        today = timezone.localdate()
        for back in range(1, 30):
            mean = 0.91 if back > 3 else 0.78
            for device in (self.world.device, self.world.other_device):
                DayTally.objects.bulk_create(
                    DayTally(
                        day=today - timedelta(days=back),
                        clinic=device.clinic,
                        device=device,
                        package_name=self.first.name,
                        package_digest=self.first.digest,
                        verdict=verdict,
                        runs=(runs := n + dice.randrange(4)),
                        confidence=runs * (mean + dice.random() / 50)
                        if n > 3 and not verdict.startswith("un")
                        else None,
                    )
                    for verdict, n in MIX.items()
                )

    def _case(self, number: int) -> None:
        world = self.world
        specimen = add_specimen(world.patient, f"N-2026-01{number}0")
        image = world.receive(number, specimen=specimen)
        live = world.succeed(image, SURE)
        as_first = {"package_digest": self.first.digest, "package_name": self.first.name}
        Analysis.objects.filter(pk=live.pk).update(**as_first)
        [run] = analyses.claim(worker="w", limit=0, package=self.second.digest, background=1)
        said: Any = BENIGN if number == 1 else SURE
        result = result_of(run, said, "classified") | {
            "package_digest": self.second.digest,
            "package_name": self.second.name,
        }
        store_result(run, outcome="classified", rejection="", result=result)
        report = DiagnosticReport.objects.get(specimen=specimen)
        if number:
            look_and_sign(world.haematologist, report)
        self.report = report
