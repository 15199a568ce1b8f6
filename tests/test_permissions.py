"""Whoever asks at whatever address gets what tests/permissions/table.py says, and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import override_settings
from django.urls import URLPattern, get_resolver

from devices.models import Device, DeviceState
from diagnostics.models import DiagnosticReport, ReportStatus
from diagnostics.models.report import UNSIGNED
from tests.again import found_again
from tests.permissions.asking import Cookies, ask, cookies_of, outcome
from tests.permissions.by_state import BY_DEVICE_STATE, BY_REPORT_STATE, ByState
from tests.permissions.scene import Scene, furnished
from tests.permissions.table import HANDS, OTHERS, REFUSED, TABLE, Line

pytestmark = pytest.mark.django_db
# Answered before the middleware, with nothing of anybody in it.
MACHINES = ("/healthz", "/readyz", "/metrics")

# --- asking -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[Scene]:
    """One scene for all lines: making it takes ten times what asking does."""
    files = {
        "BACKEND": "hospital.base.files.DurableFileSystemStorage",
        "OPTIONS": {"location": tmp_path_factory.mktemp("files")},
    }
    with (
        django_db_blocker.unblock(),
        override_settings(STORAGES={**settings.STORAGES, "default": files}),
        transaction.atomic(),
    ):
        yield furnished(found_again())
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _files(scene: Scene) -> None:
    """Instead of a folder for each test."""


@pytest.fixture(scope="module")
def cookies(scene: Scene) -> Cookies:
    """Of everybody with an account, signed in once for all lines."""
    return {**cookies_of(scene.world, HANDS), **cookies_of(scene, OTHERS)}


def asked(line: Line, scene: Scene, hand: str, cookies: Cookies) -> Any:
    """The answer; whatever was written for it is undone."""
    with transaction.atomic():
        answer = ask(line, scene, hand, cookies)
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("line", TABLE, ids=str)
def test_every_hand_gets_what_the_table_says(scene: Scene, cookies: Cookies, line: Line) -> None:
    answers = {hand: asked(line, scene, hand, cookies) for hand in HANDS}
    got = {hand: outcome(answer) for hand, answer in answers.items()}
    for answer in answers.values():
        ensure_armoured(answer)
    expected = dict(zip(HANDS, line.statuses.split(), strict=True))
    assert got == expected


@pytest.mark.parametrize("line", [line for line in TABLE if line.method != "GET"], ids=str)
def test_a_browser_writes_nothing_without_the_pages_token(
    scene: Scene, cookies: Cookies, line: Line
) -> None:
    """Where a session lets somebody do it, a page of another site cannot do it with their session.

    Microscopes have keys and no sessions, and are not asked for a token.
    """
    allowed = dict(zip(HANDS, line.statuses.split(), strict=True))
    for hand in cookies.keys() & allowed.keys():
        if allowed[hand] in REFUSED or allowed[hand] == allowed["anonymous"]:
            continue
        with transaction.atomic():
            answer = ask(line, scene, hand, cookies, enforce_csrf=True)
            transaction.set_rollback(True)
        assert answer.status_code == 403, hand


@pytest.mark.parametrize("line", TABLE, ids=str)
def test_the_other_clinic_is_refused_what_is_of_this_one(
    scene: Scene, cookies: Cookies, line: Line
) -> None:
    colleagues = dict(zip(HANDS, line.statuses.split(), strict=True))
    for hand, colleague in OTHERS.items():
        answer = asked(line, scene, hand, cookies)
        expected = line.expected_elsewhere(colleagues[colleague])
        assert outcome(answer) in expected, (
            f"{hand}: {answer.status_code} {answer.getvalue()[:200]}"
        )
        told = answer.getvalue().decode(errors="replace")
        # What was sent may come back; and whoever holds the paper to verify has read it.
        if answer.status_code < 300 and line.route != "verify":
            assert not [mark for mark in marks(scene) if mark in told], hand


def ensure_armoured(answer: Any) -> None:
    """No answer may be taken by a browser for something else, framed, or run what is not ours."""
    if answer.wsgi_request.path in MACHINES:
        return
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if "/api/device/" in answer.wsgi_request.path:
        return  # answered by fewer layers, and never to a browser
    assert answer.headers["Referrer-Policy"] == "same-origin"
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert re.search(r"default-src '(none|self)'", policy)
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "object-src 'none'" in policy or "default-src 'none'" in policy
        assert re.search(r"base-uri '(none|self)'", policy)
        assert "form-action" in policy


def marks(scene: Scene) -> list[str]:
    """Words by which something of the clinic's is known."""
    world = scene.world
    rows = (world.patient, world.specimen, world.device, world.control_slide, scene.report)
    return ["Rahman", "N-2026-", "SN-1", *(str(row.pk) for row in rows)]


@pytest.mark.parametrize("case", BY_REPORT_STATE, ids=str)
def test_what_a_report_allows_depends_on_its_state(
    scene: Scene, cookies: Cookies, case: ByState
) -> None:
    got = []
    for state in ReportStatus.values:
        with transaction.atomic():
            report = DiagnosticReport.objects.filter(pk=scene.released.pk)
            report.update(status=state)
            if state in UNSIGNED:
                report.update(portal_from=None)  # as services.release keeps it
            got.append(outcome(ask(case.line, scene, case.hand, cookies)))
            transaction.set_rollback(True)
    assert " ".join(got) == case.statuses


@pytest.mark.parametrize("case", BY_DEVICE_STATE, ids=str)
def test_what_a_microscope_may_depends_on_its_state(
    scene: Scene, cookies: Cookies, case: ByState
) -> None:
    got = []
    for state in DeviceState.values:
        with transaction.atomic():
            Device.objects.filter(pk=scene.world.device.pk).update(state=state)
            got.append(outcome(ask(case.line, scene, case.hand, cookies)))
            transaction.set_rollback(True)
    assert " ".join(got) == case.statuses


# --- no address without a line ----------------------------------------------------------------

METHODS = ("get", "put", "post", "patch", "delete")
STANDARD = ("changelist", "add", "change", "delete", "history")


def addresses(resolver: Any = None, space: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every named address of the product, with its namespace."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLPattern):
            # Django's admin has two nameless ones: an old form of 'change', and a last resort.
            if pattern.name or not space.startswith("admin:"):
                yield f"{space}{pattern.name}", pattern
        else:
            inner = f"{pattern.namespace}:" if pattern.namespace else space
            yield from addresses(pattern, inner)


def ways(pattern: URLPattern) -> set[str]:
    """The methods an API view answers; of a plain view that cannot be told from outside."""
    view: Any = getattr(pattern.callback, "cls", None)
    if view is None:
        return set()
    actions = getattr(pattern.callback, "actions", None)
    answered = actions or [method for method in METHODS if hasattr(view, method)]
    return {m.upper() for m in METHODS if m in answered and m in view.http_method_names}


def is_standard(name: str) -> bool:
    """Whether it is one of the addresses that the admin makes for every model."""
    return name.startswith("admin:") and name.rsplit("_", 1)[-1] in STANDARD


def test_every_address_has_its_line() -> None:
    listed = {line.route for line in TABLE}
    known = {name for name, _ in addresses()}
    missing = {name for name in known - listed if not is_standard(name)}
    assert not missing, f"say in TABLE who gets what at {sorted(missing)}"
    assert listed <= known


def test_every_method_of_the_api_has_its_line() -> None:
    listed = {(line.route, line.method) for line in TABLE}
    for name, pattern in addresses():
        missing = {(name, way) for way in ways(pattern)} - listed
        assert not missing, f"say in TABLE who gets what at {sorted(missing)}"
