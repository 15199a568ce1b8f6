"""Browsers that look at a running hospital, and what every page must keep to while they do."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as product
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    expect,
    sync_playwright,
)

from hospital.accounts.models import User
from tests.browser.hospital import Hospital, WebServer
from tests.servers import redis

PICTURES = Path(product.BASE_DIR) / "screenshots"
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The beating dot of a live page, drawn without a graphics card, costs a core.
    "--force-prefers-reduced-motion",
]
WIDE, NARROW = 1280, 390
# A busy machine may take its time; a page that is right is not waited for.
expect.set_options(timeout=20_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    with redis() as server:
        yield server.url


@pytest.fixture
def front() -> Callable[[Any], Any]:
    """What stands in front of the application: style sheets and scripts as they lie in the tree."""
    return ASGIStaticFilesHandler


@pytest.fixture
def hospital(
    transactional_db: Any,
    settings: Any,
    broker: str,
    front: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Hospital]:
    """The hospital with its web server. No worker: the tests put the results in."""
    monkeypatch.setattr("diagnostics.services.bell.ring", lambda: None)
    settings.CHANNEL_LAYERS = {
        "default": {
            **product.CHANNEL_LAYERS["default"],
            "BACKEND": "hospital.live.layer.PatientLayer",
            "CONFIG": {"hosts": [{"address": broker, "socket_timeout": 15}]},
        }
    }
    settings.LIVE_TICK_SECONDS = 1.0
    from hospital.config.asgi import application

    server = WebServer(front(application))
    server.start()
    running = Hospital(server)
    yield running
    server.stop()
    running.close()


@pytest.fixture
def chromium(hospital: Hospital) -> Iterator[Browser]:
    """A Chromium of its own for each test; gone before the hospital is."""
    path = os.environ.get("LEUKOLENS_CHROMIUM", "/usr/bin/chromium")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path if Path(path).exists() else None, args=[*QUIET, *root]
        )
        yield browser
        browser.close()


@dataclass
class Screens:
    """Opens a screen for a person: a browser context of its own, already signed in."""

    browser: Browser
    hospital: Hospital
    complaints: list[str] = field(default_factory=list)

    def __call__(
        self, user: User | None, path: str = "/", *, width: int = WIDE, dark: bool = False
    ) -> Page:
        context = self.browser.new_context(
            base_url=self.hospital.server.url,
            viewport={"width": width, "height": 900 if width == WIDE else 844},
            device_scale_factor=1 if width == WIDE else 2,
            color_scheme="dark" if dark else "light",
            locale="en-GB",
        )
        if user is not None:
            self._sign_in(context, user)
        page = context.new_page()
        page.on("request", lambda request: self._check_address(request.url))
        page.on("console", self._check_console)
        page.on("response", self._check_answer)
        page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))
        page.goto(path)
        return page

    def _sign_in(self, context: BrowserContext, user: User) -> None:
        cookie = {"name": product.SESSION_COOKIE_NAME, "value": self.hospital.session(user)}
        context.add_cookies([cookie | {"url": self.hospital.server.url}])

    def _check_address(self, url: str) -> None:
        if urlsplit(url).hostname not in {"127.0.0.1", None}:
            self.complaints.append(f"another host was asked: {url}")

    def _check_answer(self, answer: Response) -> None:
        if answer.status >= 500:
            self.complaints.append(f"{answer.url} answered {answer.status}")

    def _check_console(self, message: ConsoleMessage) -> None:
        text, where = message.text, message.location
        if "Content Security Policy" in text or "Refused to" in text:
            self.complaints.append(f"{where['url']}:{where['lineNumber']}: {text}")


@pytest.fixture
def screen(chromium: Browser, hospital: Hospital) -> Iterator[Screens]:
    """Screens that fail the test when a page asks another host, breaks its policy or stumbles."""
    screens = Screens(chromium, hospital)
    yield screens
    assert not screens.complaints, screens.complaints


@pytest.fixture
def phone(chromium: Browser, hospital: Hospital) -> Page:
    """A browser that keeps passkeys. It must be `localhost`: passkeys know no bare addresses."""
    page = chromium.new_context(
        base_url=hospital.server.url.replace("127.0.0.1", "localhost"), locale="en-GB"
    ).new_page()
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return page


@pytest.fixture(scope="session")
def photograph() -> Callable[[Page, str], None]:
    """Keeps a picture of a page in screenshots/."""
    PICTURES.mkdir(exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    return take
