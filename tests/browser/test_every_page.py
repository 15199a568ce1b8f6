"""Every page there is: accessible by WCAG 2.2 AA wide, narrow and in between, by day and by night.

Which pages those are says the table of permissions, which knows every address of the product:
whatever it lets somebody GET is opened here as that person, and counts if it is a page. So a page
without a scene fails there, and none is forgotten here. Each is looked at from right to left as
well: the portal and the door in Persian as a family chooses it, the staff's pages as they would
stand in a hospital whose language it were. `make screenshots` does it in every width and theme and
keeps the pictures; `make test` at the two ends: wide by day, narrow by night.
"""

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.admin import site
from django.urls import reverse
from playwright.sync_api import Page, expect

from hospital.accounts.models import User
from tests.browser.conftest import NARROW, PICTURES, WIDE
from tests.browser.test_looks import STANDARD
from tests.browser.test_signin import sheet, type_birth_date
from tests.permissions.scene import furnished
from tests.permissions.table import HANDS, TABLE, Line
from tests.world import PASSWORD

MIDDLE = 768
WIDTHS = (WIDE, MIDDLE, NARROW)
ENDS = {"light": (WIDE,), "dark": (NARROW,)}
# What a theme changes.
COLOURS = STANDARD | {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
}


class Looked:
    """What was found, page by page; one page of a browser for each person."""

    def __init__(self, photos: bool) -> None:
        self.trouble: list[str] = []
        self.names: set[str] = set()
        self.photos = photos

    def at(self, page: Page, name: str, *, language: str = "", leave: str = "") -> None:
        """Look at what stands on `page` in every width and theme, but for axe's rule `leave`."""
        page.wait_for_load_state("networkidle")
        page.evaluate(AXE_SCRIPT)
        self.names.add(name)
        for theme, rules in [("light", STANDARD), ("dark", COLOURS if self.photos else STANDARD)]:
            page.emulate_media(color_scheme=theme)
            # Colours may be on their way; Django's admin takes 150 ms.
            page.wait_for_timeout(400)
            for width in WIDTHS if self.photos else ENDS[theme]:
                page.set_viewport_size({"width": width, "height": 900 if width > NARROW else 844})
                what = f"{name}-{width}{'-dark' if theme == 'dark' else ''}{language}"
                self._judge(page, what, rules, leave)
                if self.photos and width != MIDDLE:
                    page.screenshot(path=PICTURES / "pages" / f"{what}.png", full_page=True)
        page.emulate_media(color_scheme="light")

    def fits(self, page: Page, name: str) -> None:
        """Look only whether anything sticks out at the sides."""
        for width in (WIDE, NARROW):
            page.set_viewport_size({"width": width, "height": 844})
            self._measure(page, f"{name}-{width}")

    def _measure(self, page: Page, what: str) -> None:
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            self.trouble.append(f"{what} scrolls sideways")

    def _judge(self, page: Page, what: str, options: Any, leave: str) -> None:
        self._measure(page, what)
        found = page.evaluate("options => axe.run(document, options)", options)
        for violation in found["violations"]:
            if violation["id"] == leave:
                continue
            where = [node["html"][:160] for node in violation["nodes"][:3]]
            self.trouble.append(f"{what}: {violation['id']} ({violation['help']}) {where}")


@pytest.fixture
def looked() -> Iterator[Looked]:
    found = Looked(photos=bool(os.environ.get("SCREENSHOTS")))
    PICTURES.joinpath("pages").mkdir(parents=True, exist_ok=True)
    yield found
    assert not found.trouble, "\n".join(found.trouble)


def pages(hand: str) -> list[Line]:
    """What `hand` is the first to be let in at, by a plain GET."""
    mine = [
        line
        for line in TABLE
        if line.method == "GET" and _first(line) == hand and not line.route.startswith("api:")
    ]
    return [*mine, *(line for line in TABLE if line.route == "api:docs" and _first(line) == hand)]


def _first(line: Line) -> str:
    got = line.statuses.split()
    let_in = [hand for hand, status in zip(HANDS, got, strict=True) if status == "200"]
    return let_in[0] if let_in else "superuser" if "403" in got else ""


def visit(page: Page, path: str) -> bool:
    """Whether there is a page at `path`: a whole one, not a part, a picture or a paper."""
    answer = page.request.get(path, max_redirects=0)
    kind = answer.headers.get("content-type", "")
    if answer.status != 200 or not kind.startswith("text/html") or "<html" not in answer.text():
        return False
    page.goto(path)
    return True


def addressed(hospital: Any, scene: Any, line: Line) -> str:
    query = "&".join(f"{k}={v}" for k, v in line.body(scene).items()) if line.body(scene) else ""
    path = hospital.do(lambda: reverse(line.route, kwargs=line.args(scene)))
    return f"{path}?{query}" if query else path


def own_language(hospital: Any, user: User, language: str) -> None:
    hospital.do(User.objects.filter(pk=user.pk).update, language=language)


@pytest.mark.parametrize("hand", [h for h in (*HANDS[:-1], "superuser") if pages(h)])
def test_every_page(hospital: Any, screen: Any, looked: Looked, hand: str, settings: Any) -> None:
    scene = hospital.do(furnished, hospital.world)
    user = None if hand == "anonymous" else getattr(hospital.world, hand)
    page = screen(user, "/login/")
    by_path = {addressed(hospital, scene, line): line for line in reversed(pages(hand))}
    for path, line in by_path.items():
        name = line.route.replace(":", "-")
        if not visit(page, path):
            continue
        looked.at(page, name)
        if hand == "guardian":
            own_language(hospital, user, "fa")
            page.goto(path)
            looked.at(page, name, language="-fa")
            own_language(hospital, user, "")
        elif user and user.is_staff:
            settings.LANGUAGE_CODE = "fa"
            page.goto(path)
            expect(page.locator("html")).to_have_attribute("dir", "rtl")
            if looked.photos:
                looked.at(page, name, language="-fa")
            else:
                looked.fits(page, f"{name}-fa")
            settings.LANGUAGE_CODE = "en"


def test_the_door_and_an_invitation_from_both_sides(
    hospital: Any, screen: Any, looked: Looked
) -> None:
    for language in ("", "fa"):
        tail = f"-{language}" if language else ""
        page = screen(None, "/login/")
        if language:
            page.get_by_role("button", name="فارسی").click()
        looked.at(page, "login", language=tail)
        page.goto(sheet(hospital))
        looked.at(page, "invitation-birth", language=tail)
        if not language:
            type_birth_date(page)
            looked.at(page, "invitation-account")
        for name, path in [("invitation-over", "/invitation/never/"), ("not-found", "/nothing/")]:
            page.goto(path)
            looked.at(page, name, language=tail)


def go(page: Page, path: str) -> None:
    page.goto(path)
    assert urlsplit(page.url).path == path, f"{path} sent us to {page.url}"


def give_password(page: Page, user: User) -> None:
    page.goto("/login/")
    page.get_by_label("User name").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_second_factors_from_both_sides(
    hospital: Any, phone: Page, looked: Looked, settings: Any
) -> None:
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 3_600  # looking takes longer than anybody does
    user = hospital.world.guardian
    give_password(phone, user)
    expect(phone.get_by_role("heading", name="Blood smear reports")).to_be_visible()
    for language in ("", "fa"):
        own_language(hospital, user, language)
        tail = f"-{language}" if language else ""
        for route in ("mfa_activate_totp", "mfa_add_webauthn"):
            go(phone, hospital.do(reverse, route))
            looked.at(phone, route, language=tail)
    own_language(hospital, user, "")
    go(phone, hospital.do(reverse, "mfa_add_webauthn"))
    phone.get_by_role("button", name="Make the passkey").click()
    expect(phone.get_by_role("heading", name="Recovery codes")).to_be_visible()
    hospital.do(TOTP.activate, user, "JBSWY3DPEHPK3PXP")
    for language in ("", "fa"):
        own_language(hospital, user, language)
        tail = f"-{language}" if language else ""
        for route in [
            "account",
            "mfa_deactivate_totp",
            "mfa_view_recovery_codes",
            "mfa_generate_recovery_codes",
            "mfa_reauthenticate",
        ]:
            go(phone, hospital.do(reverse, route))
            looked.at(phone, route, language=tail)
    own_language(hospital, user, "")
    phone.goto("/account/")
    phone.get_by_role("button", name="Sign out", exact=True).click()
    give_password(phone, user)
    expect(phone.get_by_role("heading", name="One more step")).to_be_visible()
    looked.at(phone, "mfa_authenticate")


def test_the_admins_lists(hospital: Any, screen: Any, looked: Looked) -> None:
    """One stands for all: they come from the same template of Django's."""
    page = screen(hospital.world.superuser, "/admin/patients/patient/")
    # Its search field is told by its title, which is advice of axe's and no part of WCAG.
    looked.at(page, "admin-list", leave="label-title-only")


def test_the_admins_forms(hospital: Any, screen: Any, looked: Looked) -> None:
    """Each that there is: for a new row, and for the first that stands."""
    hospital.do(furnished, hospital.world)
    page = screen(hospital.world.superuser, "/admin/")
    for name, paths in hospital.do(forms_of_the_admin).items():
        if any(visit(page, path) for path in paths):
            looked.at(page, name)


def forms_of_the_admin() -> dict[str, list[str]]:
    """Where a model's form is: with its first row, else without."""
    found = {}
    for model in site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        first = model._default_manager.first()
        rows = [reverse(f"{base}_change", args=[first.pk])] if first else []
        found[f"{base}_form".replace(":", "-")] = [*rows, reverse(f"{base}_add")]
    return found
