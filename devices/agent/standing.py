"""How the agent stands, for the status command and the page: one look, and no patient's name."""

import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .home import AlreadyRunning, Home, NotEnrolled
from .pulse import is_older
from .queue import Item, Queue, State

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person wants to know.

    Attributes:
        word: working, not running, stopped, full, not enrolled or in trouble.
        matter: what is the matter and what to do; '' if nothing.
        facts: names and values, in the order in which they are shown.
        waiting, refused: pictures, oldest first; at most `SHOWN`.
    """

    word: str
    matter: str
    facts: dict[str, str]
    waiting: list[Item]
    refused: list[Item]


def standing_of(home: Home, queue: Queue, *, running: bool | None = None) -> Standing:
    """How the agent of `home` stands.

    Args:
        running: whether it runs, if the caller knows.
    """
    counts, notes = queue.counts(), queue.notes()
    running = is_running(home) if running is None else running
    facts = {
        **_who(home),
        "last heartbeat": _ago(notes.get("heartbeat_at")),
        "clock": _clock(notes.get("clock_offset")),
        "waiting": _waiting(counts.waiting, counts.oldest_waiting),
        "dead letters": str(counts.refused),
        "delivered": f"{counts.sent} in the last weeks",
        "queue": _size(counts.stored_bytes),
        "disk free": _size(shutil.disk_usage(home.folder).free),
    }
    word, matter = _word(home, notes, running=running, refused=counts.refused)
    return Standing(
        word=word,
        matter=matter,
        facts=facts,
        waiting=queue.in_state(State.WAITING, most=SHOWN),
        refused=queue.in_state(State.REFUSED, most=SHOWN),
    )


def is_running(home: Home) -> bool:
    """Whether a process sends from this home folder."""
    try:
        with home.only_one():
            return False
    except AlreadyRunning:
        return True


def remark_on(item: Item) -> str:
    """What is to be said of a picture: what went wrong, and what was seen in it."""
    said = f"{item.detail} ({item.code})" if item.code else ""
    seen = f"Seen: {item.warnings.replace('_', ' ')}." if item.warnings else ""
    return f"{said} {seen}".strip()


def _who(home: Home) -> dict[str, str]:
    try:
        known = home.credentials()
    except NotEnrolled:
        return {}
    return {"microscope": f"{known.device_name}, {known.clinic}", "hospital": known.server}


def _word(home: Home, notes: dict[str, Any], *, running: bool, refused: int) -> tuple[str, str]:
    """What is the matter: of several things the one that has to be mended first."""
    try:
        home.credentials()
    except NotEnrolled as error:
        return "not enrolled", str(error)
    said = {name: notes.get(name) for name in ("stopped", "full", "folder_trouble")}
    silent = notes.get("heartbeat_trouble")
    checks = (
        (
            said["stopped"],
            "stopped",
            f"The hospital does not let this microscope in: {said['stopped']} Everything is "
            "kept. Ask a device manager; it goes on by itself, or after 'leukolens-agent enrol'.",
        ),
        (said["full"], "full", f"New pictures stay in the folder. {said['full']}"),
        (not running, "not running", "Start it: leukolens-agent run FOLDER"),
        (said["folder_trouble"], "in trouble", str(said["folder_trouble"])),
        (
            silent,
            "in trouble",
            "The hospital does not answer. Everything is kept, and sent as soon as it does. "
            f"{silent}",
        ),
    )
    found = ((word, matter) for wrong, word, matter in checks if wrong)
    return next(found, ("working", _wishes(notes, refused)))


def _wishes(notes: dict[str, Any], refused: int) -> str:
    wanted = notes.get("minimum_firmware", "")
    if is_older(notes.get("firmware", ""), wanted):
        return f"The hospital wants firmware {wanted} or newer. Have it updated."
    if refused:
        return "There are dead letters. Look: leukolens-agent refused"
    return ""


def _ago(moment: float | None) -> str:
    if moment is None:
        return "never"
    return f"{_span(time.time() - moment)} ago ({datetime.fromtimestamp(moment):%d %b %H:%M:%S})"


def _clock(offset: float | None) -> str:
    if offset is None:
        return "not compared yet"
    if abs(offset) < 1:
        return "right"
    return f"{abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} the hospital's"


def _waiting(many: int, oldest: float) -> str:
    return f"{many}, the oldest for {_span(oldest)}" if many else "none"


def _span(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def _size(size: int) -> str:
    return f"{size / 1024**3:.2f} GiB" if size >= 1024**3 else f"{size / 1024**2:.1f} MiB"
