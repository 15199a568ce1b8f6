"""A microscope that sends a picture in pieces, and what lies there of it meanwhile."""

import base64
import hashlib
import uuid
from datetime import timedelta
from typing import Any

import pytest

from diagnostics.models import Upload
from diagnostics.services import uploads
from diagnostics.services.uploads import FOLDER
from hospital.base import files
from tests.tus import Sender
from tests.world import World, content_digest


@pytest.fixture
def sender(world: World) -> Sender:
    """The clinic's own microscope."""
    return Sender(world.key)


@pytest.fixture(params=["disk", "objects"])
def storage(request: Any, settings: Any) -> None:
    """On disk, and in a store that knows neither folders nor appending, as S3 does not."""
    if request.param == "objects":
        backend = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
        settings.STORAGES = {**settings.STORAGES, "default": backend}


def pieces(upload: Upload | None = None) -> list[str]:
    """Everything that lies in the storage for unfinished uploads, or for this one."""
    names = files.folders_in(FOLDER) if upload is None else [str(upload.pk)]
    return [piece for name in names for piece in files._listed(f"{FOLDER}/{name}")[1]]


def begun(sender: Sender, body: bytes, told: dict[str, str]) -> str:
    """The address of a new upload."""
    answer = sender.begin(len(body), told)
    assert answer.status_code == 201, answer.content
    return str(answer["Location"])


def sha(name: str, body: bytes) -> str:
    """The header Upload-Checksum."""
    return f"{name} {base64.b64encode(hashlib.new(name, body).digest()).decode()}"


def lately(upload: Upload, ago: timedelta) -> None:
    """Let the upload's last piece have come so long ago."""
    Upload.objects.filter(pk=upload.pk).update(expires_at=upload.expires_at - ago)


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Tus-Resumable"] == "1.0.0"
    return answer.status_code, answer.json()["code"]


def whole_but_not_finished(world: World, body: bytes) -> Upload:
    """As a web process leaves it that dies after storing the last piece."""
    upload = uploads.begin(
        device=world.device,
        image_id=uuid.uuid4(),
        accession=world.specimen.accession,
        content_digest=content_digest(body),
        captured_at=None,
        length=len(body),
    )
    uploads.append(upload=upload, offset=0, body=body[:100])
    uploads.append(upload=upload, offset=100, body=body[100:])
    return upload
