"""Log lines that can be followed: what one request or picture caused carries one id.

A line names things by their ids and never a patient by name, number or accession. A picture's own
id, which its microscope chose, is the id under which it is followed: from the request that brought
it through the worker to the socket that told a screen.
"""

import json
import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_following: ContextVar[str] = ContextVar("following", default="")
# 'DETAIL:  Key (mrn)=(…) already exists.', 'Failing row contains (…).'
_QUOTES = re.compile(r"\s*(DETAIL|CONTEXT|Failing row)\b")
_SAFE = re.compile(r"[A-Za-z0-9-]{8,64}")


def followed() -> str:
    """The id that what happens now belongs to; '' outside of any."""
    return _following.get()


@contextmanager
def following(trace: object) -> Iterator[None]:
    """Whatever is logged and published inside belongs to `trace`."""
    token = _following.set(str(trace)[:64])
    try:
        yield
    finally:
        _following.reset(token)


def follow(trace: object) -> None:
    """From here on, what this request does belongs to `trace`."""
    _following.set(str(trace)[:64])


def trace_of(given: str) -> str:
    """The id a client proposed (X-Request-ID) if it is harmless, else a new one."""
    return given if _SAFE.fullmatch(given) else uuid.uuid4().hex


class Following(logging.Filter):
    """Puts the id on every record as `trace`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything through."""
        record.trace = getattr(record, "trace", "") or followed() or "-"
        return True


def without_values(error: str) -> str:
    """A traceback without the lines in which PostgreSQL quotes the row that it refused."""
    return "\n".join(line for line in error.splitlines() if not _QUOTES.match(line))


class Lines(logging.Formatter):
    """A line for people."""

    def formatException(self, ei: Any) -> str:
        """The traceback without values."""
        return without_values(super().formatException(ei))


class JsonLines(Lines):
    """One JSON object a line; what was given as `extra={"facts": {...}}` stands beside the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "trace": getattr(record, "trace", "-"),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
