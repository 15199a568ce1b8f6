"""How strangers get into other systems, and why not into this one: a test for each way.

Ways that have their tests elsewhere: another clinic's objects by their ids (test_permissions.py),
sockets of other sites (hospital/test_sockets.py), what a client writes into the log
(hospital/test_logs.py), bombs of every kind (drills/test_fuzz.py), redirects to other sites
(hospital/test_signin.py).
"""

import ast
import gzip
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from devices.models import Device, DeviceKey
from devices.services import keys
from diagnostics.models import DiagnosticReport, FieldImage, Specimen
from hospital.base import files
from patients.models import Patient
from tests.dicom_objects import dataset, part10
from tests.hands import signed_in
from tests.stack import deployment
from tests.world import PASSWORD, World, content_digest

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[1]
PRODUCT = [ROOT / name for name in ("hospital", "patients", "devices", "diagnostics", "ml")]


def send(world: World, body: bytes, **headers: str) -> Any:
    usual = {
        "Authorization": f"Bearer {world.key}",
        "Content-Digest": content_digest(body),
        "Accession-Number": world.specimen.accession,
    }
    address = reverse("api:device-image", kwargs={"image_id": uuid.uuid4()})
    kind = headers.pop("Content-Type", "image/jpeg")
    return Client().put(address, body, content_type=kind, headers={**usual, **headers})


# --- SSRF -----------------------------------------------------------------------------------------

CLIENTS = {"httpx", "requests", "urllib.request", "urllib3", "http.client", "aiohttp", "websockets"}
# Programs beside the web, and what asks an address of the installation's own settings.
MAY_CALL_OUT = {
    "devices/agent",
    "devices/simulator",
    "hospital/config/stack",
    "hospital/config/demo",
    "hospital/config/pulse.py",
    "hospital/config/probe.py",
}


def test_the_server_opens_no_address_that_somebody_sends() -> None:
    callers = {
        str(path.relative_to(ROOT))
        for package in PRODUCT
        for path in package.rglob("*.py")
        if _imported(path) & CLIENTS
    }
    strays = {path for path in callers if not any(path.startswith(may) for may in MAY_CALL_OUT)}
    assert not strays, "a view that calls out can be sent to the inside"


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


# --- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "images/../../secret"])
def test_no_name_leads_out_of_the_store(name: str) -> None:
    with pytest.raises(SuspiciousFileOperation):
        default_storage.open(name)
    with pytest.raises((SuspiciousFileOperation, ValueError)):
        files.put(name, b"mine now")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../etc/passwd",
        "/static/..%2f..%2fetc/passwd",
        "/static/%2e%2e/%2e%2e/secret-key",
        "/static//etc/passwd",
    ],
)
def test_no_address_leads_to_a_file_beside_the_static_ones(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code in (302, 404)
    assert b"root:" not in answer.getvalue()


def test_what_a_microscope_calls_a_picture_is_no_part_of_where_it_lies(world: World) -> None:
    for label in ("../../etc/passwd", "..\\..\\x", "/etc/passwd"):
        assert send(world, world.smear(), **{"Accession-Number": label}).status_code == 404
    assert send(world, world.smear()).status_code == 201
    image = FieldImage.objects.get()
    assert image.storage_key == files.key_of(image.sha256, folder="images", suffix=".jpg")


# --- headers --------------------------------------------------------------------------------------

LINE = "N-1\r\nSet-Cookie: sessionid=mine"


def test_no_accession_number_ends_a_header_line(world: World) -> None:
    answer = send(world, world.smear(), **{"Accession-Number": LINE})
    assert 400 <= answer.status_code < 500
    assert "Set-Cookie" not in answer.headers
    client = signed_in(world.technician)
    told = {
        "accession": LINE,
        "patient": str(world.patient.pk),
        "collected_at": "2026-11-21T08:00:00Z",
    }
    answer = client.post("/api/v1/specimens/", told, content_type="application/json")
    assert answer.status_code == 400
    assert not Specimen.objects.filter(accession__contains="Set-Cookie").exists()


@pytest.mark.parametrize("keyword", ["AccessionNumber", "PatientID", "SpecimenDescriptionSequence"])
def test_no_dicom_attribute_ends_a_header_line(world: World, keyword: str) -> None:
    made = dataset(world)
    if keyword == "SpecimenDescriptionSequence":
        made.SpecimenDescriptionSequence[0].SpecimenIdentifier = LINE
    else:
        setattr(made, keyword, LINE)
    part = b"--x\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--x--\r\n" % part10(made)
    answer = Client().post(
        reverse("api:dicom-studies"),
        part,
        content_type='multipart/related; type="application/dicom"; boundary=x',
        headers={"Authorization": f"Bearer {world.key}"},
    )
    assert answer.status_code == 409
    assert all("\n" not in value and "\r" not in value for value in answer.headers.values())


@pytest.mark.parametrize(
    "address", ["/admin/diagnostics/diagnosticreport/?q=a%00", "/api/v1/patients/?mrn=%00", "/x%00"]
)
def test_a_nul_in_an_address_is_refused_before_it_reaches_the_database(
    world: World, address: str
) -> None:
    answer = signed_in(world.haematologist).get(address)
    assert answer.status_code == 400
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- mass assignment ------------------------------------------------------------------------------


def test_a_patients_clinic_and_age_in_the_house_are_nobodys_to_send(world: World) -> None:
    client = signed_in(world.administrator)
    given = {"clinic": str(world.other_clinic.pk), "id": str(uuid.uuid4()), "registered_at": "1999"}
    _patch(client, f"/api/v1/patients/{world.patient.pk}/", given)
    row = Patient.objects.get(pk=world.patient.pk)
    assert (row.clinic_id, row.registered_at) == (world.clinic.pk, world.patient.registered_at)


def test_a_microscope_is_put_into_service_by_its_deeds_only(world: World) -> None:
    Device.objects.filter(pk=world.device.pk).update(state="suspended")
    client = signed_in(world.device_manager)
    given = {"state": "active", "clinic": str(world.other_clinic.pk), "retired_at": None}
    _patch(client, f"/api/v1/devices/{world.device.pk}/", given)
    row = Device.objects.get(pk=world.device.pk)
    assert (row.state, row.clinic_id) == ("suspended", world.clinic.pk)


def test_who_signs_and_what_state_follows_is_not_in_the_form(world: World) -> None:
    report = world.reported()
    client = signed_in(world.technician)
    given = {"version": report.version, "status": "final", "signed_by": str(world.haematologist.pk)}
    client.post(f"/api/v1/reports/{report.pk}/verify/", given, content_type="application/json")
    row = DiagnosticReport.objects.get(pk=report.pk)
    assert (row.status, row.signed_by) == ("preliminary", None)


def test_nobody_makes_themselves_a_superuser(world: World) -> None:
    client = signed_in(world.administrator)
    address = reverse("admin:accounts_user_change", args=[world.technician.pk])
    client.post(address, {"full_name": "T", "is_superuser": "on", "is_staff": "on"})
    world.technician.refresh_from_db()
    assert not world.technician.is_superuser


def _patch(client: Client, path: str, given: dict[str, Any]) -> None:
    answer = client.patch(path, given, content_type="application/json")
    # Ignored, or refused as a whole.
    assert answer.status_code in (200, 400, 403), answer.content


# --- keys -----------------------------------------------------------------------------------------


def test_a_key_is_compared_in_the_same_time_whether_or_not_it_is_known(
    world: World, monkeypatch: Any
) -> None:
    """By what is done, not by a clock: one comparison of whole digests, also for a stranger's."""
    compared: list[tuple[int, int]] = []
    honest = keys.hmac.compare_digest

    def watched(a: Any, b: Any) -> bool:
        compared.append((len(a), len(b)))
        return honest(a, b)

    monkeypatch.setattr(keys.hmac, "compare_digest", watched)
    for key in (world.key, world.key[:-1] + "!", "nobody's", world.key[:9]):
        Client().get(
            reverse("api:device-image", kwargs={"image_id": uuid.uuid4()}),
            headers={"Authorization": f"Bearer {key}"},
        )
    assert compared == [(64, 64)] * 4


def test_no_key_and_no_password_lies_in_the_database_as_it_is(world: World) -> None:
    for row in DeviceKey.objects.values():
        assert world.key not in map(str, row.values())
    assert PASSWORD not in world.technician.password


# --- bombs and files of another kind --------------------------------------------------------------


def test_what_is_packed_is_not_unpacked(world: World) -> None:
    packed = gzip.compress(bytes(50_000_000))
    answer = send(world, packed, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (415, "not_an_image")


def test_a_picture_that_is_also_a_page_is_shown_as_a_picture(world: World) -> None:
    body = world.smear() + b"<html><script>alert(1)</script></html>"
    answer = send(world, body, **{"Content-Type": "text/html"})
    assert answer.status_code == 201
    image = FieldImage.objects.get()
    address = reverse("picture", kwargs={"image_id": image.pk, "kind": "original"})
    shown = signed_in(world.technician).get(address)
    assert shown.headers["Content-Type"] == "image/jpeg"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Content-Disposition"] == 'inline; filename="N-2026-0001-original.jpg"'
    assert "sandbox" in shown.headers["Content-Security-Policy"]


# --- secrets, and the hospital's settings ---------------------------------------------------------

SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}"
    rb"|(?i:secret|password|token|api_?key)\w*\s*=\s*[\"'][A-Za-z0-9+/_-]{24,}[\"']"
)


def test_no_secret_lies_in_the_code() -> None:
    paths = [p for package in [*PRODUCT, ROOT / "docker", ROOT / "bin"] for p in package.rglob("*")]
    small = [p for p in paths if p.is_file() and p.stat().st_size < 300_000 and p.suffix != ".pyc"]
    assert len(small) > 300
    assert not [str(p) for p in small if SECRET.search(p.read_bytes())]


def test_the_key_that_is_made_is_for_the_installations_own_eyes(tmp_path: Path) -> None:
    told = {k: v for k, v in os.environ.items() if k not in deployment.PRIVATE}
    told |= {"LEUKOLENS_VAR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "hospital.config.settings"}
    made = "from django.conf import settings; print(len(settings.SECRET_KEY))"
    said = subprocess.run(
        [sys.executable, "-c", made], env=told, cwd=ROOT, capture_output=True, check=True
    )
    assert int(said.stdout) >= 50
    assert (tmp_path / "secret-key").stat().st_mode & 0o077 == 0


def test_django_finds_nothing_to_say_about_the_hospitals_configuration(tmp_path: Path) -> None:
    """By the environment that docker/compose.yml gives its web process."""
    hospital = deployment.Deployment(
        folder=tmp_path,
        given={"ALLOWED_HOSTS": "leukolens.example", "PUBLIC_URL": "https://leukolens.example"}
        | {"STORE_KEY": "k", "CERTIFICATES": str(tmp_path)},
        places={"/run/secrets": str(tmp_path)},
        web_port=0,
        https_port=0,
        http_port=0,
    )
    (tmp_path / "secret_key").write_text("".join(map(chr, range(48, 123))))
    (tmp_path / "database_url").write_text("postgres://leukolens@localhost/leukolens")
    (tmp_path / "store_key").write_text("k")
    said = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        env=hospital.environment("web"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, ""), said.stderr
    assert "no issues" in said.stdout
