"""Pictures of strangers are decoded in a process that may die of them and takes nothing along.

Decoders are written in C, and every few months one of them is found to crash on a crafted file.
So what a microscope sends is first decoded in a child: it has the bytes and nothing else, no
settings, no secrets, no connection; its memory is limited, and so is its time with a picture.
`docs/decisions/0028-a-decoder-may-die.md` says why at the door and not everywhere.

`python -m ml.guarded` is the child; the functions here ask it.
"""

from __future__ import annotations

import json
import math
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
from collections import deque
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ml import images
from ml.containers import ImageRefused, Refusal, corrupt
from ml.images import ImageFacts

SECONDS = 20
"""Of processor time for one picture. The largest allowed takes two on a slow core."""
PATIENCE = 120.0
"""Seconds by the clock, after which a child is ended that only waits."""
MEMORY = 2 << 30
"""Address space of a child in bytes: three times what the largest allowed picture needs."""
TRIES = 2
"""A child may also have been killed because the machine was short of memory."""

_HEADER = struct.Struct("!16sQ")  # what is asked, and how many bytes follow
_PROGRAM = ("-m", "ml.guarded")
_ROOT = Path(__file__).resolve().parents[1]


class NoGuard(Exception):
    """No child could be started: nothing is known of the picture."""


class Died(ImageRefused):
    """The picture killed its decoder, or took it more than `SECONDS`, `TRIES` times."""


def inspect(data: bytes) -> ImageFacts:
    """:func:`ml.images.inspect` in a child.

    Raises:
        ImageRefused: as there; `Died` with the code ``corrupt``.
        NoGuard: try again later.
    """
    return ImageFacts(**_asked("inspect", data))


def survives(data: bytes) -> None:
    """Decode the whole of it in a child and throw it away. Raises as `inspect` does."""
    _asked("decode", data)


def survives_foreign(data: bytes) -> None:
    """The same of a kind that is only met inside DICOM objects: JPEG as it is, and JPEG 2000."""
    _asked("decode_foreign", data)


def _asked(what: str, data: bytes) -> dict[str, Any]:
    for _ in range(TRIES):
        with _at_once:
            child = _idle.pop() if _idle else _Child()
            try:
                answer = child.ask(what, data)
            except (OSError, EOFError):
                child.end()
                continue
            _idle.append(child)
        if "code" in answer:
            raise ImageRefused(Refusal(answer["code"]), answer["message"])
        return answer
    raise Died(
        Refusal.CORRUPT,
        "The picture cannot be read safely; take it again, and keep this file for whoever looks"
        " after the microscope.",
    )


class _Child:
    """One process, which answers one question at a time."""

    def __init__(self) -> None:
        self._wire, theirs = socket.socketpair()
        self._wire.settimeout(PATIENCE)
        try:
            self._process = subprocess.Popen(
                [sys.executable, *_PROGRAM, str(theirs.fileno())],
                cwd=_ROOT,
                env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        except OSError as error:
            self._wire.close()
            raise NoGuard(f"no process to decode pictures in: {error}") from error
        finally:
            theirs.close()

    def ask(self, what: str, data: bytes) -> dict[str, Any]:
        """What it says. Raises OSError or EOFError when it dies or takes too long."""
        self._wire.sendall(_HEADER.pack(what.encode(), len(data)))
        self._wire.sendall(data)
        _, length = _HEADER.unpack(_received(self._wire, _HEADER.size))
        answer: dict[str, Any] = json.loads(_received(self._wire, length))
        return answer

    def end(self) -> None:
        """Kill it, whatever it does."""
        self._wire.close()
        self._process.kill()
        self._process.wait()


_idle: deque[_Child] = deque()
# As many at a time as there are cores to run them.
_at_once = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))


def _received(wire: socket.socket, length: int) -> bytes:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = wire.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(data)


# --- the child ----------------------------------------------------------------------------------


def _inspect(data: bytes) -> dict[str, Any]:
    return asdict(images.inspect(data))


def _decode(data: bytes) -> dict[str, Any]:
    images.decode(data)
    return {}


def _decode_foreign(data: bytes) -> dict[str, Any]:
    with Image.open(BytesIO(data), formats=["JPEG", "JPEG2000"]) as picture:
        if picture.width * picture.height > images.Limits().max_pixels:
            raise corrupt()
        picture.load()
    return {}


_ANSWERS = {"inspect": _inspect, "decode": _decode, "decode_foreign": _decode_foreign}


def _answer(what: str, data: bytes) -> dict[str, Any]:
    try:
        return _ANSWERS[what](data)
    except ImageRefused as refused:
        return {"code": refused.code, "message": refused.message}
    except MemoryError:
        raise
    except Exception:
        damaged = corrupt()
        return {"code": damaged.code, "message": damaged.message}


def _serve(wire: socket.socket) -> None:
    """Answer until whoever asks has gone. Running out of memory ends it, as a crash would."""
    while True:
        try:
            what, length = _HEADER.unpack(_received(wire, _HEADER.size))
        except EOFError:
            return
        _begin_to_count()
        said = json.dumps(_answer(what.rstrip(b"\0").decode(), _received(wire, length))).encode()
        wire.sendall(_HEADER.pack(what, len(said)) + said)


def _begin_to_count() -> None:
    """`SECONDS` from now: the kernel counts, so a busy machine does not make a picture look bad."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(used.ru_utime + used.ru_stime) + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


def main(descriptor: int) -> None:
    """Be the child."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no file
    with socket.socket(fileno=descriptor) as wire:
        _serve(wire)


if __name__ == "__main__":
    main(int(sys.argv[1]))
