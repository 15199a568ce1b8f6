"""Promises to a microscope that speaks DIMSE: who may, what each status means, what is bounded."""

import hashlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    VLMicroscopicImageStorage,
    VLSlideCoordinatesMicroscopicImageStorage,
)
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from devices.services import registry
from diagnostics.dicom.scp import StorageProvider, tls_context
from diagnostics.models import Analysis, DicomInstance, FieldImage
from hospital.base import files
from tests.dicom_objects import as_native, dataset, part10, pixels_of
from tests.world import SETUP, World, jpeg

pytestmark = pytest.mark.django_db(transaction=True)

AE_TITLE = "OPTIKA-W1"


@pytest.fixture
def scp(world: World) -> Iterator[StorageProvider]:
    """A provider that knows the clinic's microscope by its AE title."""
    world.device.ae_title = AE_TITLE
    registry.save_device(actor=SETUP, device=world.device)
    with StorageProvider("127.0.0.1", 0) as running:
        yield running


@contextmanager
def association(
    scp: StorageProvider, *, title: str = AE_TITLE, called: str = "LEUKOLENS", **options: Any
) -> Iterator[Any]:
    entity = AE(title)
    entity.add_requested_context(Verification)
    for syntax in (JPEGBaseline8Bit, ImplicitVRLittleEndian):
        entity.add_requested_context(VLMicroscopicImageStorage, syntax)
        entity.add_requested_context(VLSlideCoordinatesMicroscopicImageStorage, syntax)
    entity.add_requested_context(CTImageStorage)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    opened = entity.associate("127.0.0.1", scp.port, ae_title=called, **options)
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()


def send(scp: StorageProvider, made: Dataset) -> tuple[int, str]:
    """Status and error comment."""
    part10(made)  # fills in the file's meta group
    with association(scp) as opened:
        assert opened.is_established
        answer = opened.send_c_store(made)
        return answer.Status, answer.get("ErrorComment", "")


def test_echo_and_store(scp: StorageProvider, world: World) -> None:
    made = dataset(world)
    with association(scp) as opened:
        assert opened.send_c_echo().Status == 0
        part10(made)
        assert opened.send_c_store(made).Status == 0
        assert opened.send_c_store(made).Status == 0  # a repetition is a success, too
    instance = DicomInstance.objects.get()
    assert instance.sop_instance_uid == made.SOPInstanceUID
    assert files.read(instance.image.storage_key) == jpeg(0)
    assert instance.image.device == world.device
    assert Analysis.objects.count() == 1


def test_slide_coordinates_and_uncompressed_pixels_are_taken(
    scp: StorageProvider, world: World
) -> None:
    made = dataset(world, SOPClassUID=VLSlideCoordinatesMicroscopicImageStorage)
    as_native(made, pixels_of(jpeg(2)), syntax=ImplicitVRLittleEndian)
    assert send(scp, made) == (0, "")
    assert DicomInstance.objects.get().image.media_type == "image/png"


@pytest.mark.parametrize("options", [{"title": "NOBODY"}, {"called": "ELSEWHERE"}])
def test_a_stranger_gets_no_association(scp: StorageProvider, options: dict[str, str]) -> None:
    with association(scp, **{"title": AE_TITLE, **options}) as opened:
        assert not opened.is_established


def test_a_microscope_that_is_not_in_service_gets_no_association(
    scp: StorageProvider, world: World
) -> None:
    registry.change_state(actor=SETUP, device=world.device, to="suspended")
    with association(scp) as opened:
        assert opened.is_rejected


def test_suspended_in_the_middle_it_stores_nothing_more(scp: StorageProvider, world: World) -> None:
    made = dataset(world)
    part10(made)
    with association(scp) as opened:
        registry.change_state(actor=SETUP, device=world.device, to="suspended")
        answer = opened.send_c_store(made)
        assert (answer.Status, answer.ErrorComment[:16]) == (0x0124, "device_suspended")
    assert not FieldImage.objects.exists()


def test_other_kinds_of_objects_are_not_negotiated(scp: StorageProvider) -> None:
    with association(scp) as opened:
        taken = {context.abstract_syntax for context in opened.accepted_contexts}
    assert CTImageStorage not in taken
    assert VLMicroscopicImageStorage in taken


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"PatientID": "N-2"}, 0xC003, "other_patient"),
        ({"AccessionNumber": "N-2"}, 0xC003, "accession_disagrees"),
        ({"NumberOfFrames": 4}, 0xC001, "dicom_multi_frame"),
        ({"StudyInstanceUID": None}, 0xC001, "dicom_bad_uid"),
    ],
)
def test_each_refusal_has_its_status_and_its_code(
    scp: StorageProvider, world: World, change: dict[str, Any], status: int, code: str
) -> None:
    got, comment = send(scp, dataset(world, **change))
    assert (got, comment.partition(":")[0]) == (status, code)
    assert not FieldImage.objects.exists()


def test_busy_is_out_of_resources(scp: StorageProvider, world: World, settings: Any) -> None:
    settings.MAX_QUEUED_ANALYSES = 0
    status, comment = send(scp, dataset(world))
    assert (status, comment.partition(":")[0]) == (0xA700, "overloaded")


def test_without_a_database_the_sender_is_asked_to_come_again(
    scp: StorageProvider, world: World, monkeypatch: Any
) -> None:
    made = dataset(world)
    part10(made)

    def gone(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the connection is gone")

    with association(scp) as opened, monkeypatch.context() as patch:
        patch.setattr("django.db.models.sql.compiler.SQLCompiler.execute_sql", gone)
        answer = opened.send_c_store(made)
        assert (answer.Status, answer.ErrorComment[:19]) == (0xA700, "storage_unavailable")
        with association(scp) as second:
            assert second.is_rejected
    assert send(scp, made) == (0, "")


def test_another_object_than_announced_is_refused(scp: StorageProvider, world: World) -> None:
    made = dataset(world)
    part10(made)
    with association(scp) as opened:
        primitive = opened.dimse
        send_msg = primitive.send_msg

        def lie(request: Any, context: int) -> None:
            if hasattr(request, "AffectedSOPInstanceUID"):
                request.AffectedSOPInstanceUID = "1.2.3.4"
            send_msg(request, context)

        primitive.send_msg = lie
        assert opened.send_c_store(made).Status == 0xA900
    assert not FieldImage.objects.exists()


def test_what_is_too_large_is_not_kept_in_memory(
    scp: StorageProvider, world: World, settings: Any
) -> None:
    settings.MAX_UPLOAD_BYTES = 30_000
    made = as_native(dataset(world), pixels_of(jpeg(2)), syntax=ImplicitVRLittleEndian)
    status, comment = send(scp, made)
    assert (status, comment.partition(":")[0]) == (0xC001, "too_large")
    assert send(scp, dataset(world)) == (0, "")  # the next one is taken all the same


def test_a_pdu_of_gigabytes_is_not_waited_for(scp: StorageProvider, world: World) -> None:
    with association(scp) as opened:
        opened.dul.socket.socket.sendall(b"\x04\x00\xff\xff\xff\xf0" + b"x" * 1000)
        deadline = time.monotonic() + 20
        while opened.is_established and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not opened.is_established
    assert send(scp, dataset(world)) == (0, "")


@pytest.mark.parametrize("noise", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x00\x00\x00\x04abcd"])
def test_noise_at_the_door_stops_nobody(scp: StorageProvider, world: World, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", scp.port)) as connection:
        connection.sendall(noise)
        assert send(scp, dataset(world)) == (0, "")


def test_accepted_sockets_do_not_wait_to_fill_packets(
    scp: StorageProvider, monkeypatch: Any
) -> None:
    seen = []
    shake = StorageProvider.__init__.__globals__["_Server"].finish_request

    def look(self: Any, request: Any, address: Any) -> None:
        seen.append(request.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        shake(self, request, address)

    monkeypatch.setattr(StorageProvider.__init__.__globals__["_Server"], "finish_request", look)
    with association(scp) as opened:
        assert opened.is_established
    assert seen
    assert all(seen)


def test_more_associations_than_agreed_are_told_so(
    scp: StorageProvider, world: World, settings: Any
) -> None:
    scp._ae.maximum_associations = 1
    with association(scp) as first, association(scp) as second:
        assert first.is_established
        assert second.is_rejected


def test_many_microscopes_at_once_lose_nothing(scp: StorageProvider, world: World) -> None:
    objects = [dataset(world, seed) for seed in range(6)]
    answers: list[Any] = []

    def one(made: Dataset) -> None:
        answers.append(send(scp, made))

    threads = [threading.Thread(target=one, args=(made,)) for made in objects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(0, "")] * 6
    assert DicomInstance.objects.count() == FieldImage.objects.count() == 6


def test_nothing_of_a_patient_is_logged(scp: StorageProvider, world: World, caplog: Any) -> None:
    caplog.set_level("DEBUG", logger="diagnostics")
    send(scp, dataset(world, PatientID="N-2"))
    send(scp, dataset(world))
    assert "other_patient" in caplog.text
    for word in ("Rahman", "N-2026-0001", "N-2"):
        assert word not in caplog.text


# --- TLS ----------------------------------------------------------------------------------------


NEW_CERTIFICATE = "openssl req -x509 -newkey rsa:2048 -nodes -days 2"


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """Files of a new self-signed certificate and its key."""
    pem, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    subprocess.run(
        [*NEW_CERTIFICATE.split(), "-subj", f"/CN={name}", "-keyout", key, "-out", pem],
        check=True,
        capture_output=True,
    )
    return pem, key


def fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(pem).read_text())).hexdigest()


@pytest.fixture
def certificates(tmp_path: Path, settings: Any) -> dict[str, tuple[str, str]]:
    """The server's, and those of two microscopes that the hospital has signed."""
    made = {name: certificate(tmp_path, name) for name in ("server", "ours", "other")}
    settings.DICOM_TLS_CERTIFICATE, settings.DICOM_TLS_KEY = made["server"]
    clients = tmp_path / "clients.pem"
    clients.write_text("".join(Path(made[n][0]).read_text() for n in ("ours", "other")))
    settings.DICOM_TLS_CLIENTS = str(clients)
    return made


def test_over_tls_the_certificate_must_be_the_microscopes_own(
    world: World, certificates: dict[str, tuple[str, str]]
) -> None:
    world.device.ae_title = AE_TITLE
    world.device.certificate_sha256 = fingerprint(certificates["ours"][0])
    registry.save_device(actor=SETUP, device=world.device)

    def tls(name: str) -> Any:
        context = ssl.create_default_context(cafile=certificates["server"][0])
        context.check_hostname = False
        if name:
            context.load_cert_chain(*certificates[name])
        return (context, None)

    made = dataset(world)
    part10(made)
    with StorageProvider("127.0.0.1", 0, tls=tls_context()) as scp:
        # Somebody who connects and says nothing stands in nobody's way.
        with socket.create_connection(("127.0.0.1", scp.port)):
            with association(scp, tls_args=tls("other")) as opened:
                assert opened.send_c_store(made).Status == 0x0124
            with association(scp, tls_args=tls("ours")) as opened:
                assert opened.send_c_store(made).Status == 0
        with association(scp, tls_args=tls("")) as opened:
            assert not opened.is_established
        with association(scp) as opened:
            assert not opened.is_established


def test_a_microscope_with_a_certificate_is_not_believed_without(
    scp: StorageProvider, world: World
) -> None:
    world.device.certificate_sha256 = "ab" * 32
    registry.save_device(actor=SETUP, device=world.device)
    status, comment = send(scp, dataset(world))
    assert (status, comment.partition(":")[0]) == (0x0124, "dicom_unknown_sender")
