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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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


# The code of a refusal that does not come from the hospital, or comes without its reason.
UNEXPLAINED = "no_explanation"


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
    """The hospital did not take it however often it was tried. Keep the picture.

    Attributes:
        wait: seconds that the hospital asked to be left alone; 0 if it said nothing of the kind.
    """

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


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


# One attempt and no waiting: for callers that keep the time themselves.
ONCE = Patience(attempts=1)


@dataclass(frozen=True, slots=True)
class Told:
    """What the hospital answers to a heartbeat.

    Attributes:
        server_time: the hospital's clock when it answered.
        interval_seconds: when it wants the next one.
        revision: of the configuration that this microscope shall have.
        configuration: what it is told, by name; None: nothing has changed.
        minimum_firmware: '' if any will do.
        renew_key: whether this microscope shall fetch itself another key.
        clock_offset: this machine's clock minus the hospital's, in seconds: positive when it is
            ahead. Half of the round trip is taken to be the way there.
    """

    server_time: datetime
    interval_seconds: float
    revision: int | None
    configuration: dict[str, Any] | None
    minimum_firmware: str
    renew_key: bool
    clock_offset: float


class Microscope:
    """A microscope's line to its hospital. Several threads may use it at once."""

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
            headers={"User-Agent": "leukolens-microscope/1"},
            # A picture takes its time over a hospital's WiFi; a connection should not.
            timeout=httpx.Timeout(60.0, connect=5.0),
            transport=transport,
        )
        # Without one a microscope can do nothing but enrol.
        if key:
            self.use_key(key)

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

    def use_key(self, key: str) -> None:
        """Speak with another key from the next request on."""
        self._http.headers["Authorization"] = f"Bearer {key}"

    def send(
        self,
        picture: Path | bytes,
        *,
        accession: str,
        image_id: UUID | None = None,
        captured_at: datetime | None = None,
        patience: Patience | None = None,
    ) -> Receipt:
        """Deliver a picture, trying until it is safe.

        Args:
            accession: what the label on the slide says.
            image_id: keep it and give it again when trying later; None makes a new one.
            captured_at: by this microscope's clock, with its zone.
            patience: for this picture, in place of the line's own.

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
        answer = self.ask(
            "PUT",
            f"images/{image_id or uuid4()}",
            patience=patience,
            headers=headers,
            content=body,
        )
        with understood(answer):
            told = answer.json()
            return Receipt(
                id=UUID(told["id"]),
                accession=told["accession"],
                state=told["state"],
                sha256=told["sha256"],
                received_at=datetime.fromisoformat(told["received_at"]),
                created=answer.status_code == httpx.codes.CREATED,
            )

    def status(self, image_id: UUID, *, patience: Patience | None = None) -> dict[str, Any]:
        """What became of a picture: its state, its rejection, its analysis, its report.

        Raises:
            Refused, Unreachable: as for `send`.
        """
        answer = self.ask("GET", f"images/{image_id}", patience=patience)
        with understood(answer):
            return dict(answer.json())

    def heartbeat(self, **report: Any) -> float:
        """Say that this microscope is alive; returns after how many seconds to say so again.

        Args:
            report: whatever it knows of itself: firmware, queue_length, temperature_celsius, …

        Raises:
            Refused, Unreachable: as for `send`.
        """
        answer = self.ask("POST", "heartbeat", json=report)
        with understood(answer):
            return float(answer.json()["interval_seconds"])

    def beat(self, report: dict[str, Any]) -> Told:
        """A heartbeat, tried once, and everything that the hospital answers to it.

        Args:
            report: as for `heartbeat`; `clock` is added.

        Raises:
            Refused, Unreachable: as for `send`.
        """
        asked, started = datetime.now(UTC), time.monotonic()
        stamped = {**report, "clock": asked.isoformat()}
        answer = self.ask("POST", "heartbeat", patience=ONCE, json=stamped)
        halfway = asked + timedelta(seconds=(time.monotonic() - started) / 2)
        with understood(answer):
            told = answer.json()
            server_time = datetime.fromisoformat(told["server_time"])
            return Told(
                server_time=server_time,
                interval_seconds=float(told["interval_seconds"]),
                revision=told.get("revision"),
                configuration=told.get("configuration"),
                minimum_firmware=told.get("minimum_firmware", ""),
                renew_key=bool(told.get("renew_key", False)),
                clock_offset=(halfway - server_time).total_seconds(),
            )

    def renew_key(self) -> str:
        """A new key in place of the one in use, which lives on until the new one is first used.

        Raises:
            Refused, Unreachable: as for `send`; then ask again later, that harms nothing.
        """
        answer = self.ask("POST", "key", patience=ONCE)
        with understood(answer):
            return str(answer.json()["key"])

    def enrol(self, code: str, serial: str = "") -> dict[str, Any]:
        """Exchange a one-time code for a key.

        Returns:
            The answer: `key`, `device` (id, name, clinic), `server_time`, `interval_seconds`.

        Raises:
            Refused: the code is not valid, or another microscope's.
            Unreachable: patience ran out.
        """
        given = {"code": code, **({"serial": serial} if serial else {})}
        answer = self.ask("POST", "enrol", json=given)
        with understood(answer):
            told = dict(answer.json())
            return {**told, "key": str(told["key"])}

    def ask(
        self, method: str, path: str, *, patience: Patience | None = None, **what: Any
    ) -> httpx.Response:
        """One request below the device API, tried as long as patience lasts; a 2xx comes back.

        Raises:
            Refused: any other answer that will not change by repeating.
            Unreachable: patience ran out.
        """
        patience = patience or self._patience
        reason, wanted = "", 0.0
        for attempt in range(patience.attempts):
            if attempt:
                self._sleep(patience.pause(attempt - 1, wanted))
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
        tried = f" after {patience.attempts} attempts" if patience.attempts > 1 else ""
        raise Unreachable(f"not delivered{tried}: {reason}", wait=wanted)


@contextmanager
def understood(answer: httpx.Response) -> Iterator[None]:
    """Read a 2xx; one that is not the hospital's (a WiFi's login page, say) counts as none.

    Raises:
        Unreachable: it does not say what it should.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(
            f"{answer.url.host} gave an answer that is not the hospital's "
            f"({answer.status_code}, {answer.headers.get('Content-Type', 'no type')})"
        ) from error


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
        return Refused(answer.status_code, UNEXPLAINED, answer.reason_phrase)
