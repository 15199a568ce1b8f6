"""How soon an event is on the screens: from its row in the log to the words in the row, on two.

Not among the tests that always run: it measures, and a busy machine takes its time.
"""

import statistics
from typing import Any

from playwright.sync_api import Page

from diagnostics.models import FieldImage
from hospital.live.models import Event
from tests.browser.scenes import at_once
from tests.browser.test_live import live
from tests.world import add_specimen

TIMES = 20
# Looks a hundred times a second, and keeps when the words were there, by the browser's clock.
WATCH = """([place, words]) => {
    window.soon = 0;
    const look = window.setInterval(() => {
        if (!document.querySelector(place)?.innerText.includes(words)) return;
        window.soon = Date.now();
        window.clearInterval(look);
    }, 10);
}"""


def test_how_soon_a_result_is_on_both_screens(hospital: Any, screen: Any) -> None:
    at_once(hospital)
    staff = live(screen(hospital.world.technician, "/worklist/"))
    family = live(screen(hospital.world.guardian, "/portal/"))
    waits: dict[str, list[float]] = {"worklist": [], "portal": []}
    for number in range(TIMES):
        image = hospital.send(specimen=hospital.do(sample, hospital, number))
        staff.wait_for_timeout(1_500)  # what came before is on the screens
        report = hospital.do(report_of, image)
        staff.evaluate(WATCH, [f"#row-{report}", "Suggests"])
        family.evaluate(WATCH, [f"[href*='{report}']", "specialist"])
        hospital.read(image)
        at = hospital.do(written, report)
        waits["worklist"].append(seen(staff) - at)
        waits["portal"].append(seen(family) - at)
    for name, taken in waits.items():
        middle, slowest = statistics.median(taken), max(taken)
        print(f"\n{name}: median {middle:.0f} ms, slowest {slowest:.0f} ms of {TIMES}")


def sample(hospital: Any, number: int) -> Any:
    return add_specimen(hospital.world.patient, f"N-SOON-{number}")


def report_of(image: Any) -> Any:
    return FieldImage.objects.get(pk=image).specimen.report.pk


def written(report: Any) -> float:
    """When the report's newest event was written, in milliseconds."""
    rows = Event.objects.filter(subject=report, kind="report.changed").order_by("-id")
    return rows[0].at.timestamp() * 1000


def seen(page: Page) -> float:
    """When the words were there, in milliseconds."""
    return float(page.wait_for_function("() => window.soon").json_value())
