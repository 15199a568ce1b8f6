"""Where the registry asks for a client certificate, a good key alone opens nothing."""

import hashlib
import json
import ssl
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from django.utils import timezone

from devices.certificates import fingerprint_of
from devices.models import Device
from devices.services import enrolment
from hospital.audit.models import Entry
from tests.hands import errors, send, signed_in
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db

PROXY, STRANGER = "10.0.0.2", "10.7.7.7"


def certificate() -> str:
    """A self-signed certificate in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench-1")])
    now = timezone.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


PEM = certificate()
FINGERPRINT = hashlib.sha256(ssl.PEM_cert_to_DER_cert(PEM)).hexdigest()
COLONS = ":".join(FINGERPRINT[at : at + 2] for at in range(0, 64, 2)).upper()


@pytest.fixture(autouse=True)
def _proxy(settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/30"), ip_network("fd00::/8")]


@pytest.fixture
def known(world: World) -> Device:
    """The clinic's microscope, known by its certificate."""
    Device.objects.filter(pk=world.device.pk).update(certificate_sha256=FINGERPRINT)
    world.device.refresh_from_db()
    return world.device


def ask(world: World, *, peer: str = PROXY, **headers: str) -> tuple[int, str]:
    """Status and code of a heartbeat that came through `peer`."""
    answer = Client(REMOTE_ADDR=peer).post(
        "/api/device/v1/heartbeat",
        "{}",
        content_type="application/json",
        headers={"Authorization": f"Bearer {world.key}", **headers},
    )
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize(
    "said",
    [
        FINGERPRINT,
        COLONS,
        f"SHA256 Fingerprint={COLONS}",
        quote(PEM, safe=""),
        quote(PEM, safe="+/="),
    ],
    ids=["hex", "colons", "openssl", "nginx", "nginx, half escaped"],
)
def test_the_right_certificate_opens_in_every_way_of_writing(
    world: World, known: Device, said: str
) -> None:
    assert ask(world, **{"X-Client-Certificate": said}) == (200, "")


@pytest.mark.parametrize("peer", [PROXY, "fd00::1", "::ffff:10.0.0.2"])
def test_every_address_of_a_proxy_is_known(world: World, known: Device, peer: str) -> None:
    assert ask(world, peer=peer, **{"X-Client-Certificate": COLONS}) == (200, "")


@pytest.mark.parametrize(
    "said",
    ["", "(null)", "-----BEGIN CERTIFICATE-----", FINGERPRINT[:40], "ä" * 64],
    ids=["none", "null", "begun", "short", "foreign"],
)
def test_none_or_an_unreadable_one_is_missing(world: World, known: Device, said: str) -> None:
    headers = {"X-Client-Certificate": quote(said)} if said else {}
    assert ask(world, **headers) == (401, "certificate_missing")


def test_another_certificate_is_another_microscope(world: World, known: Device) -> None:
    other = {"X-Client-Certificate": quote(certificate(), safe="")}
    assert ask(world, **other) == (401, "certificate_mismatch")


def test_only_our_proxy_is_believed(world: World, known: Device, settings: Any) -> None:
    claim = {"X-Client-Certificate": FINGERPRINT}
    assert ask(world, peer=STRANGER, **claim) == (401, "certificate_missing")
    pretended = {**claim, "X-Forwarded-For": PROXY, "X-Real-IP": PROXY, "Forwarded": f"for={PROXY}"}
    assert ask(world, peer=STRANGER, **pretended) == (401, "certificate_missing")
    settings.TRUSTED_PROXIES = []
    assert ask(world, **claim) == (401, "certificate_missing")


def test_the_headers_name_is_a_setting(world: World, known: Device, settings: Any) -> None:
    settings.CLIENT_CERTIFICATE_HEADER = "X-SSL-Cert"
    assert ask(world, **{"X-SSL-Cert": FINGERPRINT}) == (200, "")
    assert ask(world, **{"X-Client-Certificate": FINGERPRINT}) == (401, "certificate_missing")


def test_whoever_needs_none_may_come_without_or_with_one(world: World) -> None:
    assert ask(world) == (200, "")
    assert ask(world, **{"X-Client-Certificate": "nonsense"}) == (200, "")


def test_a_wrong_key_is_not_told_of_certificates(world: World, known: Device) -> None:
    world.key = world.key[:-1] + ("A" if world.key[-1] != "A" else "B")
    assert ask(world) == (401, "invalid_key")


def test_a_refused_certificate_is_no_use_of_the_key(world: World, known: Device) -> None:
    ask(world)
    assert known.keys.get().last_used_at is None


def test_enrolling_needs_it_too(world: World, known: Device) -> None:
    code = enrolment.make_code(actor=SETUP, device=known).code

    def enrol(**headers: str) -> Any:
        return Client(REMOTE_ADDR=PROXY).post(
            "/api/device/v1/enrol",
            json.dumps({"code": code}),
            content_type="application/json",
            headers=headers,
        )

    assert enrol().json()["code"] == "certificate_missing"
    assert Entry.objects.get(action="enrolment.refused").detail["reason"] == "certificate"
    assert enrol(**{"X-Client-Certificate": FINGERPRINT}).status_code == 201


def test_the_brake_sees_through_our_proxy() -> None:
    """Each microscope behind it is counted by its own address."""

    def guess(sender: str) -> int:
        return (
            Client(REMOTE_ADDR=PROXY, headers={"X-Forwarded-For": sender})
            .post("/api/device/v1/enrol", '{"code": "0"}', content_type="application/json")
            .status_code
        )

    for number in range(20):
        # What the client itself wrote stands on the left; the proxy adds what it saw.
        assert guess(f"10.9.9.{number}, 192.0.2.1") == 403
    assert guess("192.0.2.1") == 429
    assert guess("192.0.2.2") == 403


@pytest.mark.parametrize(
    "given",
    [COLONS, FINGERPRINT, f"  {COLONS.lower()} "],
    ids=["colons", "digits", "small and spaced"],
)
def test_the_registry_takes_the_fingerprint_as_openssl_writes_it(world: World, given: str) -> None:
    fields = {"name": "Bench", "make": "Optika", "model": "W1", "serial": "SN-1"}
    answer = send(
        world.device_manager,
        "devices_device_change",
        world.device.pk,
        **fields,
        certificate_sha256=given,
    )
    assert not errors(answer)
    world.device.refresh_from_db()
    assert world.device.certificate_sha256 == FINGERPRINT


def test_the_staff_api_takes_it_too_and_says_what_it_cannot_read(world: World) -> None:
    def correct(text: str) -> Any:
        return signed_in(world.device_manager).patch(
            f"/api/v1/devices/{world.device.pk}/",
            json.dumps({"certificate_sha256": text}),
            content_type="application/json",
        )

    assert correct(COLONS).json()["certificate_sha256"] == FINGERPRINT
    answer = correct("ab:cd")
    assert answer.status_code == 400
    assert "64 hexadecimal digits" in answer.json()["errors"]["certificate_sha256"][0]
    assert correct("").json()["certificate_sha256"] == ""


def test_sha1_is_no_fingerprint() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        fingerprint_of("ab" * 20)
