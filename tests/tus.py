"""What a microscope says when it sends a picture in pieces (tus 1.0)."""

import uuid
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from tests.world import content_digest

ADDRESS = "/api/device/v1/uploads"
PIECE = "application/offset+octet-stream"


def metadata(told: dict[str, str]) -> str:
    """The header Upload-Metadata."""
    return ",".join(f"{name} {b64encode(said.encode()).decode()}" for name, said in told.items())


def particulars(body: bytes, accession: str, image_id: uuid.UUID | None = None) -> dict[str, str]:
    """What Upload-Metadata says of a picture."""
    return {
        "image_id": str(image_id or uuid.uuid4()),
        "accession": accession,
        "content_digest": content_digest(body),
    }


@dataclass
class Sender:
    """Speaks tus with Django's test client. Every header can be spoilt: None leaves it out."""

    key: str
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))

    def ask(self, method: str, address: str, body: bytes = b"", **headers: str | int | None) -> Any:
        """One request; `upload_offset=3` is the header Upload-Offset."""
        said: dict[str, Any] = {
            "authorization": f"Bearer {self.key}",
            "tus-resumable": "1.0.0",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if body:
            said.setdefault("content-type", PIECE)
        sent = {name: str(value) for name, value in said.items() if value is not None}
        return self.client.generic(method, address, body, content_type="", headers=sent)

    def begin(self, length: int, told: dict[str, str], body: bytes = b"", **headers: Any) -> Any:
        """Make room for a picture of `length` bytes."""
        said = {"upload_length": length, "upload_metadata": metadata(told), **headers}
        return self.ask("POST", ADDRESS, body, **said)

    def append(self, place: str, offset: int, body: bytes, **headers: Any) -> Any:
        """Send a piece."""
        said = {"upload_offset": offset, "content_type": PIECE, **headers}
        return self.ask("PATCH", place, body, **said)

    def standing(self, place: str) -> tuple[int, int | None]:
        """HEAD's status, and how many bytes are there."""
        answer = self.ask("HEAD", place)
        offset = answer.headers.get("Upload-Offset")
        return answer.status_code, None if offset is None else int(offset)
