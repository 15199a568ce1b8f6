"""The microscope's own client: sends pictures, says that it is alive, asks what became of them.

    with Microscope("https://hospital.example", key) as microscope:
        receipt = microscope.send(Path("field.jpg"), accession="H-2026-0001")

Needs httpx and nothing else of the product, so that it can run on the microscope itself. A picture
keeps its id over all attempts; sending it twice therefore does no harm, and not knowing whether an
attempt arrived is no reason to worry.
"""

import base64
import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

import httpx

# 'Not now' in its four spellings; anything else that is an error stays one.
TRY_AGAIN = frozenset({429, 502, 503, 504})
# The bytes were damaged on the way: the same bytes again are welcome.
DAMAGED = "digest_mismatch"
SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}


class Refused(Exception):
    """The hospital has said no, and would say so again.

    Attributes:
        status: the HTTP status.
        code: stable; see docs/device-api.md.
        detail: what to do about it.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code}, {status})")
        self.status = status
        self.code = code
        self.detail = detail


class Unreachable(Exception):
    """The hospital did not take it however often it was tried. Keep the picture."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The hospital's word that a picture is safe there.

    `created` is False when it was there already from an earlier attempt.
    """

    id: UUID
    accession: str
    state: str
    sha256: str
    received_at: datetime
    created: bool


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to try, and how long to wait in between.

    The wait is drawn evenly between nothing and a ceiling that doubles each time ('full jitter'),
    so that a hundred microscopes that lost the same server do not come back in step.
    """

    attempts: int = 8
    first: float = 0.5
    longest: float = 30.0

    def pause(self, attempt: int, at_least: float) -> float:
        """Seconds to wait after failed attempt number `attempt`, counted from 0."""
        ceiling = min(self.longest, self.first * 2**attempt)
        return at_least + random.uniform(0, ceiling)


class Microscope:
    """A microscope's line to its hospital. Not for use by several threads at once."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._patience = patience or Patience()
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/device/v1/",
            headers={"Authorization": f"Bearer {key}", "User-Agent": "leukolens-microscope/1"},
            # A picture takes its time over a hospital's WiFi; a connection should not.
            timeout=httpx.Timeout(60.0, connect=5.0),
            transport=transport,
        )

    def __enter__(self) -> "Microscope":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def send(
        self,
        picture: Path | bytes,
        *,
        accession: str,
        image_id: UUID | None = None,
        captured_at: datetime | None = None,
    ) -> Receipt:
        """Deliver a picture, trying until it is safe.

        Args:
            accession: what the label on the slide says.
            image_id: keep it and give it again when trying later; None makes a new one.
            captured_at: by this microscope's clock, with its zone.

        Raises:
            Refused: the picture, the key or the specimen is not accepted.
            Unreachable: patience ran out.
        """
        body = picture if isinstance(picture, bytes) else picture.read_bytes()
        headers = {
            "Content-Type": media_type(body),
            "Content-Digest": content_digest(body),
            "Accession-Number": accession,
        }
        if captured_at:
            headers["Captured-At"] = captured_at.astimezone(UTC).isoformat()
        answer = self._ask("PUT", f"images/{image_id or uuid4()}", headers=headers, content=body)
        told = answer.json()
        return Receipt(
            id=UUID(told["id"]),
            accession=told["accession"],
            state=told["state"],
            sha256=told["sha256"],
            received_at=datetime.fromisoformat(told["received_at"]),
            created=answer.status_code == httpx.codes.CREATED,
        )

    def status(self, image_id: UUID) -> dict[str, Any]:
        """What became of a picture: its state, its rejection, its analysis, its report.

        Raises:
            Refused, Unreachable: as for `send`.
        """
        told: dict[str, Any] = self._ask("GET", f"images/{image_id}").json()
        return told

    def heartbeat(self, **report: Any) -> float:
        """Say that this microscope is alive; returns after how many seconds to say so again.

        Args:
            report: whatever it knows of itself: firmware, queue_length, temperature_celsius, …

        Raises:
            Refused, Unreachable: as for `send`.
        """
        return float(self._ask("POST", "heartbeat", json=report).json()["interval_seconds"])

    def _ask(self, method: str, path: str, **what: Any) -> httpx.Response:
        """One request, tried as long as patience lasts."""
        reason, wanted = "", 0.0
        for attempt in range(self._patience.attempts):
            if attempt:
                self._sleep(self._patience.pause(attempt - 1, wanted))
            try:
                answer = self._http.request(method, path, **what)
            except httpx.TransportError as error:
                reason, wanted = f"{type(error).__name__}: {error}", 0.0
                continue
            if answer.is_success:
                return answer
            refusal = _refusal(answer)
            if answer.status_code not in TRY_AGAIN and refusal.code != DAMAGED:
                raise refusal
            reason, wanted = str(refusal), retry_after(answer.headers.get("Retry-After"))
        raise Unreachable(f"not delivered after {self._patience.attempts} attempts: {reason}")


def media_type(body: bytes) -> str:
    """The kind of picture by its first bytes; the server looks for itself anyway."""
    for signature, kind in SIGNATURES.items():
        if body.startswith(signature):
            return kind
    return "application/octet-stream"


def content_digest(body: bytes) -> str:
    """The Content-Digest header of `body` (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def retry_after(header: str | None) -> float:
    """Seconds that a Retry-After header asks for, given as a number or as a date; 0 without."""
    if not header:
        return 0.0
    if header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        return 0.0
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _refusal(answer: httpx.Response) -> Refused:
    """The problem+json in an answer, or what can be said of an answer without one."""
    try:
        problem = answer.json()
        return Refused(answer.status_code, str(problem["code"]), str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        return Refused(answer.status_code, "no_explanation", answer.reason_phrase)
