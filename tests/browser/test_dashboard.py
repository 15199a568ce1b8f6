"""The dashboard and the packages on a screen: accessible, photographed, changed by a button."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW, WIDE
from tests.browser.dashboard_scene import DashboardScene
from tests.browser.test_looks import check

LOOKS = [(WIDE, False), (NARROW, False), (WIDE, True), (NARROW, True)]


@pytest.fixture
def scene(hospital: Any, tmp_path: Any) -> DashboardScene:
    """A month behind it."""
    return hospital.do(DashboardScene, hospital.world, tmp_path / "next")  # type: ignore[no-any-return]


def test_how_it_looks(hospital: Any, screen: Any, photograph: Any, scene: DashboardScene) -> None:
    world = hospital.world
    for width, dark in LOOKS:
        name = f"{width}{'-dark' if dark else ''}"
        page = screen(world.superuser, "/dashboard/", width=width, dark=dark)
        expect(page.get_by_text("Drifting.")).to_be_visible()
        photograph(page, f"dashboard-{name}")
        check(page)
        page.goto("/dashboard/packages/")
        photograph(page, f"packages-{name}")
        check(page)
        page.goto(f"/dashboard/packages/{scene.second.pk}/compare/")
        photograph(page, f"package-compare-{name}")
        check(page)
        page.goto(f"/cases/{scene.report.pk}/")
        photograph(page, f"case-clock-{name}")
        check(page)
        page.context.close()


def test_an_empty_dashboard(hospital: Any, screen: Any, photograph: Any) -> None:
    page = screen(hospital.world.administrator, "/dashboard/", width=NARROW)
    photograph(page, "dashboard-empty-390")
    check(page)


def test_a_package_is_put_to_use_and_taken_back(
    hospital: Any, screen: Any, scene: DashboardScene
) -> None:
    page = screen(hospital.world.superuser, "/dashboard/packages/")
    page.get_by_role("button", name=f"Put to use {scene.second}").click()
    expect(page.get_by_text(f"New pictures are read by {scene.second}")).to_be_visible()
    page.get_by_role("button", name=f"Roll back to {scene.first}").click()
    expect(page.get_by_text(f"Back to {scene.first}")).to_be_visible()
