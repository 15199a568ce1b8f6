"""Promises of docker/: what its files say is sound, and its very commands make a hospital.

No container engine is at hand, so the same command lines, settings and health checks run as plain
processes, against PostgreSQL, Redis, an S3 store and nginx (tests/stack/deployment.py).
"""

import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose
from websockets.sync.client import connect

from hospital.config.demo.screen import TOKEN
from tests.stack import deployment as made
from tests.stack.harness import ROOT, wait_until
from tests.stack.smears import smears
from tests.world import content_digest

pytestmark = pytest.mark.stack

GIVEN = {"ALLOWED_HOSTS": "h.example", "PUBLIC_URL": "https://h.example", "STORE_KEY": "k"}
MANIFESTS = sorted((made.DOCKER / "kubernetes").glob("*.yaml"))


# --- the files ---------------------------------------------------------------------------------


def test_the_dockerfile_pleases_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    line = [hadolint, made.DOCKER / "Dockerfile"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_compose_file_is_one_by_the_specification() -> None:
    PyCompose.from_json(json.dumps(made.compose(GIVEN))).validate()


def test_the_compose_file_insists_on_what_it_cannot_guess() -> None:
    for name in GIVEN:
        with pytest.raises(made.NotGiven, match=name):
            made.compose({**GIVEN, name: ""})


def test_the_image_has_the_client_of_the_compose_files_postgresql() -> None:
    """pg_dump reads no server newer than itself."""
    version = made.compose(GIVEN)["services"]["postgres"]["image"].removeprefix("postgres:")
    installed = f'"postgresql-client-{version}={version}.*"'
    assert installed in (made.DOCKER / "Dockerfile").read_text()


def test_our_containers_write_nowhere_and_may_do_nothing() -> None:
    services = made.compose(GIVEN)["services"]
    ours = [service for service in services.values() if service["image"] == "leukolens"]
    assert len(ours) == 8
    for service in ours:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_whoever_seals_the_trail_or_verifies_it_has_the_volume_of_its_anchors() -> None:
    composed = made.compose(GIVEN)
    held = {
        name
        for name, service in composed["services"].items()
        if "audit:/srv/leukolens/audit" in service.get("volumes", [])
    }
    assert held == {"web", "housekeeping", "backup"}
    config = next(d["data"] for d in documents() if d["kind"] == "ConfigMap")
    for name in ("AUDIT_ANCHOR_FILE", "AUDIT_KEY_FILE"):
        assert Path(composed["x-settings"][name]).parent == Path("/srv/leukolens/audit")
        assert config[name] == composed["x-settings"][name]


def test_no_secret_stands_in_the_files() -> None:
    settings = made.compose(GIVEN)["x-settings"]
    for name in ("SECRET_KEY", "DATABASE_URL", "S3_SECRET_KEY"):
        assert name not in settings
        assert settings[f"{name}_FILE"].startswith("/run/secrets/")


def documents() -> list[dict[str, Any]]:
    return [doc for file in MANIFESTS for doc in yaml.safe_load_all(file.read_text())]


def test_the_manifests_are_valid_for_kubernetes() -> None:
    for document in documents():
        kubernetes_validate.validate(document, "1.33", strict=True)


def test_kustomize_is_given_every_manifest() -> None:
    listed = yaml.safe_load((made.DOCKER / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == [f"kubernetes/{file.name}" for file in MANIFESTS]


@pytest.mark.parametrize(
    "name", ["web", "worker-cpu", "worker-gpu", "housekeeping", "beat", "backup"]
)
def test_kubernetes_runs_the_commands_of_the_compose_file(name: str) -> None:
    """So that what is proven of one below is proven of the other."""
    (spec,) = (
        document["spec"]
        for document in documents()
        if document["kind"] in ("Deployment", "CronJob") and document["metadata"]["name"] == name
    )
    pod = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    service = made.compose(GIVEN)["services"][name]
    assert container["command"] == service["command"]
    common = made.compose(GIVEN)["x-settings"]
    own = {k: str(v) for k, v in service["environment"].items() if k not in common}
    assert {e["name"]: str(e["value"]) for e in container.get("env", [])} == own


def test_every_setting_that_the_files_give_is_one_that_the_product_reads() -> None:
    read = (ROOT / "hospital" / "config" / "settings.py").read_text()
    names = set(re.findall(r'"([A-Z][A-Z0-9_]+)"', read))
    elsewhere = {
        "LEUKOLENS_READY_FILE",
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
        "TF_FORCE_GPU_ALLOW_GROWTH",
        "SERVER_NAME",  # the proxy's
        "STORE",
    }
    told = {
        name
        for s in made.compose(GIVEN)["services"].values()
        if s["image"] == "leukolens"
        for name in s["environment"]
    }
    told |= {n for d in documents() if d["kind"] == "ConfigMap" for n in d["data"]}
    # Some settings end with _FILE themselves.
    unknown = {n for n in told - elsewhere if not names & {n, n.removesuffix("_FILE")}}
    assert unknown == set()


# --- the hospital ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[made.Deployment]:
    """Every process of the compose file, by its own command, and healthy by its own check."""
    folder = tmp_path_factory.mktemp("deployment")
    made.certificates(folder / "certificates")
    nginx = subprocess.run(
        ["sh", "bin/proxy"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    with made.deployed(folder) as deployment:
        made.prepare(deployment)
        for name in made.OURS:
            deployment.start(name)
        deployment.start_proxy(nginx)
        for name in made.OURS[:-1]:
            deployment.await_healthy(name)
        yield deployment


@pytest.fixture(scope="module")
def world(hospital: made.Deployment) -> dict[str, Any]:
    """The clinic, its microscope and its haematologist."""
    told = hospital.environment("web") | {"DJANGO_SETTINGS_MODULE": "hospital.config.settings"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.stack.seed"],
        cwd=ROOT, env=told, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def trusting(hospital: made.Deployment, *, certificate: bool = False) -> ssl.SSLContext:
    """What somebody at the door knows: our certificate, and perhaps a microscope's own."""
    folder = hospital.folder / "certificates"
    context = ssl.create_default_context(cafile=str(folder / "server.pem"))
    if certificate:
        context.load_cert_chain(folder / "bench.pem", folder / "bench.key")
    return context


def send(
    hospital: made.Deployment, world: dict[str, Any], body: bytes, number: int, **how: Any
) -> httpx.Response:
    return httpx.put(
        f"{hospital.url}/api/device/v1/images/{uuid4()}",
        content=body,
        headers={
            "Authorization": f"Bearer {world['key']}",
            "Content-Type": "image/jpeg",
            "Content-Digest": content_digest(body),
            "Accession-Number": world["accessions"][number],
        },
        verify=trusting(hospital, **how),
        timeout=60,
    )


@pytest.fixture
def staff(hospital: made.Deployment, world: dict[str, Any]) -> Iterator[httpx.Client]:
    """A haematologist's browser."""
    with httpx.Client(base_url=hospital.url, verify=trusting(hospital), timeout=60) as client:
        token = TOKEN.search(client.get("/login/").text)
        assert token is not None
        form = {
            "csrfmiddlewaretoken": token.group(1),
            "username": world["username"],
            "password": world["password"],
        }
        origin = {"Origin": hospital.url, "Referer": f"{hospital.url}/login/"}
        assert client.post("/login/", data=form, headers=origin).status_code == 302
        yield client


def test_a_picture_sent_to_the_door_is_read_told_and_shown(
    hospital: made.Deployment, world: dict[str, Any], staff: httpx.Client
) -> None:
    body = smears(1)[0]
    cookie = "; ".join(f"{name}={value}" for name, value in staff.cookies.items())
    with connect(
        hospital.url.replace("https", "wss") + "/ws/clinic/",
        ssl=trusting(hospital),
        origin=hospital.url,
        additional_headers={"Cookie": cookie},
    ) as socket:
        answer = send(hospital, world, body, 0)
        assert answer.status_code == 201, answer.text
        image = answer.json()["id"]
        while json.loads(socket.recv(timeout=120)).get("event", {}).get("kind") != "report.changed":
            pass

    def shown() -> httpx.Response | None:
        seen = staff.get(f"/pictures/{image}/original")
        return seen if seen.status_code == 200 else None

    picture = wait_until(shown, "the picture shown")
    # By the proxy, from the store: the same bytes, under our name for their type.
    assert content_digest(picture.content) == content_digest(body)
    assert picture.headers["Content-Type"] == "image/jpeg"
    assert "sandbox" in picture.headers["Content-Security-Policy"]
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    assert picture.headers["Cache-Control"] == "private, no-cache"
    assert "X-Accel-Redirect" not in picture.headers
    assert not [name for name in picture.headers if name.startswith("x-amz")]
    again = staff.get(
        f"/pictures/{image}/original", headers={"If-None-Match": picture.headers["ETag"]}
    )
    assert again.status_code == 304
    drawn = wait_until(
        lambda: (a := staff.get(f"/pictures/{image}/overlay")).status_code == 200 and a,
        "the outlines drawn",
    )
    assert drawn.headers["Content-Type"] in ("image/png", "image/jpeg")


def test_the_store_is_not_reached_by_asking(
    hospital: made.Deployment, world: dict[str, Any], staff: httpx.Client
) -> None:
    send(hospital, world, smears(2)[1], 1)
    for path in ("/_store/leukolens/", "/_store/leukolens/pictures/", "/_files/"):
        assert staff.get(path).status_code == 404


def test_numbers_and_a_plain_connection_are_not_for_outside(hospital: made.Deployment) -> None:
    assert httpx.get(f"{hospital.url}/metrics", verify=trusting(hospital)).status_code == 404
    plain = httpx.get(f"http://localhost:{hospital.http_port}/worklist/")
    assert plain.status_code == 308
    assert plain.headers["Location"].startswith("https://localhost/")


def test_whoever_watches_from_inside_reads_the_numbers_of_web_and_worker(
    hospital: made.Deployment, world: dict[str, Any]
) -> None:
    send(hospital, world, smears(3)[2], 2)
    web = f"http://127.0.0.1:{hospital.web_port}/metrics"
    worker = f"http://127.0.0.1:{hospital.places['9100']}/metrics"
    assert "leukolens_queue_age_seconds" in httpx.get(web).text
    wait_until(lambda: 'leukolens_analyses_total{engine="' in httpx.get(worker).text, "counted")


def test_a_microscope_bound_to_a_certificate_needs_it(
    hospital: made.Deployment, world: dict[str, Any]
) -> None:
    pem = hospital.folder / "certificates" / "bench.pem"
    bind = (
        "import django; django.setup()\n"
        "from devices.models import Device; from devices.certificates import fingerprint_of\n"
        "from devices.services.registry import save_device; from tests.world import SETUP\n"
        "device = Device.objects.get(ae_title='OPTIKA-W1')\n"
        f"device.certificate_sha256 = fingerprint_of(open({str(pem)!r}).read())\n"
        "save_device(actor=SETUP, device=device)\n"
    )
    told = hospital.environment("web") | {"DJANGO_SETTINGS_MODULE": "hospital.config.settings"}

    def bound(script: str) -> None:
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=told, check=True)

    bound(bind)
    try:
        body = smears(4)[3]
        assert send(hospital, world, body, 3).status_code in (401, 403)
        assert send(hospital, world, body, 3, certificate=True).status_code == 201
    finally:
        bound(bind.replace("fingerprint_of(open", "'' and (open"))


def test_nothing_of_a_patient_is_in_any_log(
    hospital: made.Deployment, world: dict[str, Any], staff: httpx.Client
) -> None:
    staff.get("/worklist/", params={"q": "Rahman"})
    send(hospital, world, smears(5)[4], 4)
    logs = [*hospital.folder.glob("*.log"), *hospital.folder.glob("proxy/*.log")]
    assert len(logs) >= len(made.OURS)
    text = "\n".join(log.read_text(errors="replace") for log in logs)
    assert "api:device-image" in text
    for secret in ("Rahman", world["accessions"][4], world["username"], world["key"]):
        assert secret not in text
    lines = [line for line in text.splitlines() if line.startswith('{"at"')]
    assert any(json.loads(line)["logger"] == "hospital.requests" for line in lines)


def test_the_probe_comes_through_past_the_proxy(hospital: made.Deployment) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "probe"],
        cwd=ROOT, env=hospital.environment("housekeeping"), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_trail_is_anchored_where_all_who_check_it_look_and_is_whole(
    hospital: made.Deployment, world: dict[str, Any]
) -> None:
    send(hospital, world, smears(6)[5], 5)
    anchors = hospital.folder / "audit" / "anchors.jsonl"
    wait_until(lambda: anchors.exists() and anchors.read_text(), "an anchor of housekeeping's")
    done = subprocess.run(
        [sys.executable, "manage.py", "audit", "verify"],
        cwd=ROOT, env=hospital.environment("web"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "The trail is whole." in done.stdout, done.stdout + done.stderr
    assert " 0 anchors" not in done.stdout
    # A container's own folder is gone with the container.
    own = [path.name for name in made.OURS for path in (hospital.folder / name).iterdir()]
    assert not [name for name in own if "audit" in name or "key" in name]


def test_the_nights_backup_is_taken_by_its_command_and_reads_whole(
    hospital: made.Deployment, world: dict[str, Any]
) -> None:
    send(hospital, world, smears(7)[6], 6)
    assert "Without a passphrase" not in hospital.run("backup")
    assert "every byte is as it was written" in hospital.run("backup", "--check")
    (taken,) = (hospital.folder / "backups").glob("[0-9]*")
    anchors = (taken / "audit-anchors.jsonl").read_text()
    assert anchors
    assert anchors in (hospital.folder / "audit" / "anchors.jsonl").read_text()


def test_the_doctor_finds_it_well(hospital: made.Deployment) -> None:
    def found() -> list[dict[str, str]]:
        done = subprocess.run(
            [sys.executable, "manage.py", "doctor", "--json"],
            cwd=ROOT, env=hospital.environment("web"), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    # A worker in the middle of something answers late.
    wait_until(lambda: {one["grade"] for one in found()} <= {"well", "mind"}, "nothing ill")


def test_a_web_process_without_its_database_says_so_and_recovers(
    hospital: made.Deployment,
) -> None:
    """Its own health check is what a balancer goes by."""
    assert hospital.is_healthy("web")
    told = {**hospital.environment("web"), "PATH": os.environ["PATH"]}
    told["DATABASE_URL_FILE"] = str(hospital.folder / "secrets" / "nobody")
    Path(told["DATABASE_URL_FILE"]).write_text("postgres://nobody@127.0.0.1:1/none")
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"],
        cwd=ROOT, env=told, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(f["subject"] == "database" and f["grade"] == "ill" for f in found)
    assert done.returncode == 1
