"""Anybody who holds a paper may ask whether it still stands, and learns nothing else."""

import re
import uuid
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from diagnostics.models import DiagnosticReport, ReportStatus, ReportVersion
from diagnostics.services.printing import verification_address
from tests.diagnostics.test_documents import amended, signed
from tests.world import SURE, World, by_hand

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_asked_before() -> None:
    cache.clear()


@pytest.fixture
def version(world: World) -> ReportVersion:
    """A signed report."""
    world.reported(SURE)
    return signed(world, comment="Blasts.")


def address(version: ReportVersion) -> str:
    return verification_address(version, site="")


def page(version: ReportVersion) -> str:
    answer = Client().get(address(version))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def compare(version: ReportVersion, digest: str) -> Any:
    return Client().post(address(version), {"digest": digest})


def test_the_newest_version_is_said_to_be_so(version: ReportVersion) -> None:
    assert f"Version {version.version} is the newest signed version" in page(version)


def test_an_older_version_names_the_newer_one(world: World, version: ReportVersion) -> None:
    newer = amended(world, version, conclusion="pro_b")
    assert f"but version {newer.version} has taken its place" in page(version)
    assert f"Version {newer.version} is the newest" in page(newer)


@pytest.mark.parametrize("status", [ReportStatus.CANCELLED, ReportStatus.ENTERED_IN_ERROR])
def test_a_withdrawn_report_is_said_to_be_so(version: ReportVersion, status: str) -> None:
    DiagnosticReport.objects.update(status=status)
    assert "This report was withdrawn" in page(version)


def test_a_record_that_was_changed_is_not_vouched_for(version: ReportVersion) -> None:
    with by_hand("diagnostics_reportversion"):
        ReportVersion.objects.update(content=version.content | {"conclusion": "benign"})
    assert "is not what was signed" in page(version)


def test_nothing_about_patient_result_or_clinic_is_shown(
    world: World, version: ReportVersion
) -> None:
    shown = page(version) + compare(version, version.sha256).content.decode()
    for secret in [
        *("Rahman", "Amina", "2019", "N-1<", "N-2026-0001", "Pre-B", "Blasts", "North", "555"),
        *("Hana", "Sato", str(version.report_id), str(world.patient.pk), "Signed by"),
    ]:
        assert secret not in shown, secret


def test_the_whole_digest_is_compared_however_it_was_typed(version: ReportVersion) -> None:
    digest = version.sha256
    grouped = " ".join(digest[i : i + 8] for i in range(0, 64, 8))
    for typed in [digest, grouped, digest.upper(), f"  {digest}\t"]:
        assert b"This is the number of the signed record" in compare(version, typed).content
    other = ("0" if digest[-1] != "0" else "1").join([digest[:-1], ""])
    assert b"This is not the number" in compare(version, other).content


@pytest.mark.parametrize("typed", ["", "abc", "g" * 64, "٣" * 64, "a" * 200, "<script>"])
def test_what_is_no_digest_is_said_to_be_none(version: ReportVersion, typed: str) -> None:
    answer = compare(version, typed)
    assert answer.status_code == 422
    assert b"This is the number" not in answer.content
    assert b"<script>" not in answer.content


def test_whoever_guesses_cannot_tell_a_report_from_none(version: ReportVersion) -> None:
    real = Client().get(address(version).replace(version.sha256[:16], "0" * 16))
    none = Client().get(f"/verify/{uuid.uuid4()}/{'0' * 16}/")
    assert (real.status_code, none.status_code) == (404, 404)

    def shown(answer: Any) -> bytes:
        """The page but for the token of its footer's form."""
        return re.sub(rb'(csrfmiddlewaretoken" value=")\w+', rb"\1", answer.content)

    assert shown(real) == shown(none)


def test_part_of_the_start_is_not_enough(version: ReportVersion) -> None:
    for start in [version.sha256[:15], version.sha256[:17], version.sha256]:
        assert Client().get(f"/verify/{version.pk}/{start}/").status_code == 404


def test_one_address_cannot_ask_without_end(version: ReportVersion, settings: Any) -> None:
    settings.VERIFICATIONS_PER_MINUTE = 3
    answers = [Client().get(address(version)) for _ in range(4)]
    assert [a.status_code for a in answers[:3]] == [200, 200, 200]
    # A new minute may have begun in between; then the count begins anew, once.
    last = answers[3] if answers[3].status_code == 429 else None
    if last is None:
        last = [Client().get(address(version)) for _ in range(3)][-1]
    assert last.status_code == 429
    assert 1 <= int(last.headers["Retry-After"]) <= 60
    assert b"too_many_checks" in last.content
    assert Client(REMOTE_ADDR="192.0.2.7").get(address(version)).status_code == 200


def test_no_search_engine_and_no_cache_keeps_it(version: ReportVersion) -> None:
    headers = Client().get(address(version)).headers
    assert headers["X-Robots-Tag"] == "noindex, nofollow"
    assert "no-store" in headers["Cache-Control"]


def test_the_address_on_paper_is_the_public_one(version: ReportVersion, settings: Any) -> None:
    path = address(version)
    inside = verification_address(version, site="http://10.0.0.7:8000/")
    assert inside == f"http://10.0.0.7:8000{path}"
    settings.PUBLIC_URL = "https://results.hospital.example"
    outside = verification_address(version, site="http://10.0.0.7:8000/")
    assert outside == f"https://results.hospital.example{path}"
