"""DICOMweb in the hands of a microscope, and of people."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from diagnostics.models import DicomInstance
from diagnostics.services import dicom
from tests.dicom_objects import dataset, part10
from tests.world import World

DICOM = 'multipart/related; type="application/dicom"; boundary=xyz'


def body_of(*objects: bytes) -> bytes:
    parts = [b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in objects]
    return b"".join(parts) + b"--xyz--\r\n"


@dataclass
class Web:
    """DICOMweb in somebody's hands."""

    client: Client
    key: str = ""

    def headers(self, accept: str = "") -> dict[str, str]:
        told = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return {**told, **({"Accept": accept} if accept else {})}

    def get(self, path: str, accept: str = "", **query: Any) -> Any:
        return self.client.get(f"/api/dicom/{path}", query, headers=self.headers(accept))

    def store(self, *objects: bytes, path: str = "studies", content_type: str = DICOM) -> Any:
        return self.client.post(
            f"/api/dicom/{path}",
            body_of(*objects),
            content_type=content_type,
            headers=self.headers("application/dicom+json"),
        )


@pytest.fixture
def microscope(world: World) -> Web:
    return Web(Client(enforce_csrf_checks=True), world.key)


@pytest.fixture
def person(world: World) -> Callable[[str], Web]:
    def signed_in(name: str) -> Web:
        client = Client(enforce_csrf_checks=True)
        client.force_login(getattr(world, name))
        return Web(client)

    return signed_in


@pytest.fixture
def instance(world: World) -> DicomInstance:
    return dicom.store(device=world.device, data=part10(dataset(world)))[0]


def place(row: DicomInstance) -> str:
    return f"studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"


def parts_of(answer: Any) -> list[bytes]:
    boundary = answer["Content-Type"].rpartition("boundary=")[2].encode()
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]


def uids(answer: Any, tag: str = "00080018") -> list[str]:
    return [row[tag]["Value"][0] for row in answer.json()]
