"""Which specimen a picture is of: from a note beside it, its name, or a barcode in it.

Never a guess: whoever says something must say the same as the others, or a person is asked.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import zxingcpp
from numpy.typing import NDArray

NUMBER = r"(?!IMG|DSC|DCIM|SCAN)[A-Z]{1,8}-[0-9A-Z]{2,10}-[0-9]{1,8}"
"""What an accession number looks like in a name or a barcode, where other things stand as well.

N-2026-0001, and not IMG-20260301-0001, as cameras number their files.
"""
NAME_PATTERN = rf"(?P<accession>{NUMBER})(?:[ _.(].*)?"
LONGEST = 40
SIDECARS = (".json", ".txt")
SIDECAR_LIMIT = 64 * 1024
BARCODES = "Code128,DataMatrix,QRCode"


class Unclear(Exception):
    """It cannot be said for sure which specimen this is.

    Attributes:
        code: accession_missing or accession_unclear.
        detail: what was found, and what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Note:
    """What the file beside a picture says."""

    accession: str = ""
    captured_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """Where to look for accession numbers.

    Attributes:
        name: must match the whole file name without its ending; has a group `accession`.
        barcode: a barcode that does not match as a whole is something else's; None: look for none.
    """

    name: re.Pattern[str] = field(default_factory=lambda: re.compile(NAME_PATTERN))
    barcode: re.Pattern[str] | None = field(default_factory=lambda: re.compile(NUMBER))

    def accession_of(
        self,
        picture: Path,
        note: Note,
        grey: NDArray[np.uint8] | None,
        *,
        said: str = "",
    ) -> str:
        """The accession number.

        Args:
            picture: its name is read, not its bytes.
            note: see `note_beside`.
            grey: (H, W) uint8, to look for barcodes in; None: the picture could not be read.
            said: what the person at the bench says.

        Raises:
            Unclear: there is none, or there are several.
        """
        found = {
            "the person": {said} - {""},
            "the note beside it": {note.accession} - {""},
            "its name": self._in_name(picture),
        }
        if grey is not None:
            found["a barcode in it"] = self._in_barcodes(grey)
        numbers = set().union(*found.values())
        if not numbers:
            raise Unclear(
                "accession_missing",
                "No accession number: not in a note beside the picture, nor in its name, nor in "
                "a barcode. Say which specimen it is, or discard it.",
            )
        if len(numbers) > 1:
            sources = "; ".join(
                f"{where} says {' and '.join(sorted(one))}" for where, one in found.items() if one
            )
            raise Unclear(
                "accession_unclear",
                f"There are several accession numbers: {sources}. Look at the slide's label and "
                "say which it is.",
            )
        [number] = numbers
        if len(number) > LONGEST or not number.isprintable():
            raise Unclear(
                "accession_unclear", f"'{number[:LONGEST]}…' cannot be an accession number."
            )
        return number

    def _in_name(self, picture: Path) -> set[str]:
        match = self.name.fullmatch(picture.stem)
        return {match["accession"]} - {None, ""} if match else set()

    def _in_barcodes(self, grey: NDArray[np.uint8]) -> set[str]:
        if self.barcode is None:
            return set()
        read = zxingcpp.read_barcodes(
            np.ascontiguousarray(grey), formats=zxingcpp.barcode_formats_from_str(BARCODES)
        )
        texts = {barcode.text.strip() for barcode in read}
        return {text for text in texts if self.barcode.fullmatch(text)}


def note_beside(picture: Path, *, apart: float = 15.0) -> Note:
    """What `smear.jpg.json` (or .txt) says of `smear.jpg`; empty when there is none.

    JSON: an object with `accession` and, if known, `captured_at` (ISO 8601; without a zone it is
    this machine's). Text: the accession number alone in the first line.

    Args:
        apart: seconds by which a note may be younger than its picture. One that came later still
            may be meant for the next picture of that name.

    Raises:
        Unclear: there is one, and it cannot be understood, speaks of two specimens, or came late.
        OSError: it cannot be read just now.
    """
    accessions: set[str] = set()
    captured_at = None
    paths = notes_of(picture)
    for path in paths:
        if path.stat().st_mtime > picture.stat().st_mtime + apart:
            raise Unclear(
                "accession_unclear",
                f"The note {path.name} is younger than the picture and may be meant for another. "
                "Look at the slide's label and say which specimen it is.",
            )
        try:
            text = path.read_bytes()[:SIDECAR_LIMIT].decode("utf-8-sig")
            told = json.loads(text) if path.suffix == ".json" else _first_line(text)
            accession, moment = _read(told)
        except (ValueError, RecursionError) as error:
            raise Unclear(
                "accession_unclear", f"The note {path.name} cannot be understood: {error}."
            ) from error
        accessions |= {accession} - {""}
        captured_at = captured_at or moment
    if len(accessions) > 1:
        raise Unclear(
            "accession_unclear",
            f"Two notes beside the picture say {' and '.join(sorted(accessions))}. Look at the "
            "slide's label and say which it is.",
        )
    return Note(next(iter(accessions), ""), captured_at)


def notes_of(picture: Path) -> list[Path]:
    """The files that are there to say something of `picture`, understood or not."""
    names = [picture.with_name(f"{picture.name}{ending}") for ending in SIDECARS]
    return [path for path in names if path.is_file()]


def _first_line(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {"accession": lines[0] if lines else ""}


def _read(told: Any) -> tuple[str, datetime | None]:
    """Accession and time of a note; ValueError says what is wrong."""
    if not isinstance(told, dict):
        raise ValueError("it is not an object with an 'accession'")
    accession, moment = told.get("accession", ""), told.get("captured_at")
    if not isinstance(accession, str):
        raise ValueError("its 'accession' is no text")
    if moment is None:
        return accession.strip(), None
    if not isinstance(moment, str):
        raise ValueError("its 'captured_at' is no text")
    # Without a zone it is this machine's own; with it, it stays what the microscope said.
    parsed = datetime.fromisoformat(moment)
    return accession.strip(), parsed if parsed.tzinfo else parsed.astimezone()
