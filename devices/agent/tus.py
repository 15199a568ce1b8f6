"""Large pictures in pieces: tus 1.0 (https://tus.io/protocols/resumable-upload), the client's side.

A connection that breaks costs one piece and not the picture. Where the upload goes on is told to
the caller as soon as it is known, so that it can go on after a power cut as well.
"""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from .client import ONCE, UNEXPLAINED, Microscope, Refused, Unreachable
from .rows import Item
from .stored import reading

VERSION = "1.0.0"
PIECE = 256 * 1024
API = "/api/device/v1/"
# What a server says that has no such address.
NO_SUCH_ADDRESS = frozenset({"not_found", "method_not_allowed", "unsupported_version", UNEXPLAINED})
# How often in a row a piece may be damaged or misplaced before the line gets a rest.
TRIES = 5


class NoTus(Exception):
    """The hospital takes no pictures in pieces."""


class Pieces:
    """One picture on its way in pieces.

    Attributes:
        moved: whether any piece has arrived.
    """

    def __init__(
        self, microscope: Microscope, item: Item, path: Path, remember: Callable[[str], None]
    ) -> None:
        """
        Args:
            item: what is sent; its `upload` is where it went on last time.
            path: its bytes.
            remember: is told where the upload goes on, '' if it must begin anew.
        """
        self._microscope = microscope
        self._item = item
        self._path = path
        self._remember = remember
        self.moved = False

    def send(self) -> None:
        """Deliver all pieces that are not there yet. The caller then asks what has arrived.

        Raises:
            NoTus: this server does not do it; send the picture whole.
            Refused: of the picture or the microscope, as of one that is sent whole.
            Unreachable: try again later; it goes on where it was.
            stored.Unreadable: this machine's disk does not give its bytes.
        """
        algorithm = self._algorithm()
        place, offset = self._item.upload, None
        if place:
            offset = self._standing(place)
        if offset is None:
            place, offset = self._begin()
        troubles = 0
        while offset < self._item.size:
            try:
                offset = self._add(place, offset, algorithm)
                troubles, self.moved = 0, True
            except Refused as refusal:
                troubles += 1
                offset = self._after(refusal, place, troubles)

    def _algorithm(self) -> str:
        """How pieces are hashed: sha256 or sha1; '' if the server hashes none."""
        try:
            answer = self._ask("OPTIONS", "uploads")
        except Refused as refusal:
            raise _no_tus(refusal) from refusal
        if "Tus-Version" not in answer.headers:
            raise NoTus
        offered = answer.headers.get("Tus-Checksum-Algorithm", "").split(",")
        known = (name for name in ("sha256", "sha1") if name in map(str.strip, offered))
        return next(known, "")

    def _begin(self) -> tuple[str, int]:
        """Where the upload goes, and how much of it is there already."""
        item = self._item
        digest = base64.b64encode(bytes.fromhex(item.sha256)).decode()
        told = {
            "image_id": str(item.id),
            "accession": item.accession,
            "content_digest": f"sha-256=:{digest}:",
        }
        if item.captured_at:
            told["captured_at"] = item.captured_at.isoformat()
        metadata = ",".join(
            f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in told.items()
        )
        headers = {"Upload-Length": str(item.size), "Upload-Metadata": metadata}
        try:
            answer = self._ask("POST", "uploads", headers=headers)
        except Refused as refusal:
            raise _no_tus(refusal) from refusal
        place = _below_api(answer.headers.get("Location", ""))
        self._remember(place)
        return place, _offset(answer, otherwise=0)

    def _standing(self, place: str) -> int | None:
        """How much is there; None if the upload is not there any more."""
        try:
            answer = self._ask("HEAD", place)
        except Refused as refusal:
            # An answer to HEAD has no body that could say more.
            if refusal.status in {401, 403}:
                raise
            self._remember("")
            return None
        return _offset(answer)

    def _add(self, place: str, offset: int, algorithm: str) -> int:
        with reading(self._path), self._path.open("rb") as file:
            file.seek(offset)
            piece = file.read(PIECE)
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
        }
        if algorithm:
            digest = base64.b64encode(hashlib.new(algorithm, piece).digest()).decode()
            headers["Upload-Checksum"] = f"{algorithm} {digest}"
        return _offset(self._ask("PATCH", place, headers=headers, content=piece))

    def _after(self, refusal: Refused, place: str, troubles: int) -> int:
        """Where to go on after a piece was not taken.

        Raises:
            Refused: it was the picture that was not taken.
            Unreachable: later.
        """
        gone = refusal.status == 410 or refusal.code == "unknown_upload"
        if gone or (refusal.status == 404 and refusal.code == UNEXPLAINED):
            self._remember("")
            raise Unreachable("The hospital does not know the upload any more.") from refusal
        if refusal.status != 460 and refusal.code != "wrong_offset":
            raise refusal
        standing = self._standing(place) if troubles < TRIES else None
        if standing is None:
            raise Unreachable(f"A piece was not taken: {refusal}") from refusal
        return standing

    def _ask(
        self,
        method: str,
        place: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        version = {"Tus-Resumable": VERSION}
        return self._microscope.ask(
            method, place, patience=ONCE, headers=version | (headers or {}), content=content
        )


def _no_tus(refusal: Refused) -> Exception:
    """The refusal, or that there is nothing here to refuse."""
    absent = refusal.status in {404, 405, 412, 501} and refusal.code in NO_SUCH_ADDRESS
    return NoTus() if absent else refusal


def _offset(answer: httpx.Response, *, otherwise: int | None = None) -> int:
    said = answer.headers.get("Upload-Offset", "")
    if said.isdecimal():
        return int(said)
    if otherwise is None:
        raise Unreachable(f"{answer.url.host} did not say how far the upload is.")
    return otherwise


def _below_api(location: str) -> str:
    """The address, relative to the device API. Whatever host it names, the key stays at ours."""
    _, api, place = urlsplit(location).path.partition(API)
    if not api or not place or ".." in place:
        raise Unreachable(f"The upload was put at '{location}', which is not in the device API.")
    return place
