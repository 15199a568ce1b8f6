"""Lighthouse on the report as its family reads it: at least 95 in all four categories.

Not among the tests that always run: it needs node and the package that `make lighthouse` brings,
and what it measures depends on how busy the machine is.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from playwright.sync_api import sync_playwright

from hospital.config.stack.ports import free_port
from tests.browser.scenes import released
from tests.browser.test_portal import shown

LEAST = 95
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
INSTALLED = "whitenoise.storage.CompressedManifestStaticFilesStorage"
PROGRAM = Path(settings.BASE_DIR, ".tools/lighthouse/node_modules/lighthouse/cli/index.js")


@pytest.fixture
def front(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Any]:
    """Style sheets and scripts as an installation serves them: named by digest, compressed."""
    settings.STATIC_ROOT = str(tmp_path_factory.mktemp("static"))
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": INSTALLED}}
    call_command("collectstatic", verbosity=0, interactive=False)
    return lambda application: application


def test_the_report_is_as_fast_and_sound_as_pages_get(hospital: Any, tmp_path: Path) -> None:
    report = released(hospital, conclusion="pre_b", kind="Pre")
    shown(hospital)
    told = audited(
        f"{hospital.server.url}/portal/reports/{report.pk}/",
        session=hospital.session(hospital.world.guardian),
        profile=tmp_path,
    )
    points = {name: round(100 * told["categories"][name]["score"]) for name in CATEGORIES}
    lost = [
        f"{audit['id']}: {audit['title']} {audit.get('displayValue', '')}"
        for audit in told["audits"].values()
        if audit.get("score") is not None and audit["score"] < 0.9
    ]
    print("\n" + ", ".join(f"{name} {n}" for name, n in points.items()), *lost, sep="\n  ")
    assert min(points.values()) >= LEAST, points


def audited(url: str, *, session: str, profile: Path) -> dict[str, Any]:
    """What Lighthouse says of `url`, in a browser that is signed in."""
    port = free_port()
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=os.environ.get("LEUKOLENS_CHROMIUM", "/usr/bin/chromium"),
            args=[f"--remote-debugging-port={port}", *root],
        )
        browser.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
        asked = ["node", PROGRAM, url, f"--port={port}", "--disable-storage-reset", "--quiet"]
        made = subprocess.run(
            [*asked, "--output=json", f"--only-categories={','.join(CATEGORIES)}"],
            capture_output=True,
            text=True,
            check=False,
        )
        browser.close()
    assert made.returncode == 0, made.stderr
    told: dict[str, Any] = json.loads(made.stdout)
    assert told["finalDisplayedUrl"] == url, "sent elsewhere"
    return told
