"""The network between a microscope and its hospital, and what it does to what it carries.

A small TCP relay for each microscope, on this machine. The client and the server are the real
ones, with real sockets: a request that is cut here has really arrived in part. It reads as much of
HTTP/1.1 as it takes to know where a request begins and ends.
"""

import asyncio
import contextlib
import random
import re
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .faults import Faults

LOOPBACK = "127.0.0.1"
HEAD_LIMIT = 64 * 1024
PIECE = 64 * 1024
# A duplicate comes so many seconds later at most; at once, it overtakes the original's answer.
LATEST_DUPLICATE = 3.0
CONNECT_SECONDS = 5.0
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost:[^\r]*", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_PICTURE = re.compile(rb"PUT \S*/images/")
_CARRIES_PICTURE = re.compile(rb"(PUT \S*/images/|PATCH \S*/uploads/)")


class Dropped(Exception):
    """The connection is broken, on purpose or not."""


@dataclass(frozen=True, slots=True)
class _Strike:
    """What happens to one request and its answer.

    Attributes:
        cut_request, cut_answer: after so many bytes the connection breaks.
        flip: which byte of the request's body changes.
        pace: bytes a second; None: as fast as it goes.
    """

    cut_request: int | None = None
    cut_answer: float | None = None
    flip: int | None = None
    pace: int | None = None
    duplicate: bool = False


@dataclass(slots=True)
class Wire:
    """One microscope's way to the hospital.

    Attributes:
        upstream: the hospital's address.
        pace: bytes a second of a slow line.
        happened: how often what has happened, by the names of `Faults`, and `requests`.
    """

    upstream: str
    faults: Faults
    chance: random.Random
    pace: int
    happened: Counter[str] = field(default_factory=Counter)
    server: asyncio.Server | None = None
    duplicates: set["asyncio.Task[None]"] = field(default_factory=set)
    carrying: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where the microscope finds its hospital."""
        assert self.server is not None
        return f"http://{LOOPBACK}:{self.server.sockets[0].getsockname()[1]}"

    async def open(self) -> None:
        """Listen."""
        self.server = await asyncio.start_server(self._carry, LOOPBACK, 0, limit=HEAD_LIMIT)

    async def close(self) -> None:
        """Listen no more, once the duplicates have come."""
        assert self.server is not None
        self.server.close()
        if self.duplicates:
            await asyncio.wait(self.duplicates, timeout=2 * LATEST_DUPLICATE)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the microscope's, as long as it lasts."""
        # The event loop itself does not keep a task that waits from being collected.
        _keep(asyncio.current_task(), self.carrying)
        _keep_nothing_back(writer)
        try:
            while True:
                await self._exchange(reader, writer)
        except (Dropped, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            _break(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request there and its answer back, each on a connection of its own at the hospital's.

        Raises:
            Dropped, OSError, IncompleteReadError: the connection is over.
        """
        head = await reader.readuntil(b"\r\n\r\n")
        length = _length(head)
        strike = self._strike(head, length)
        there, to_hospital = await self._connect()
        _keep_nothing_back(to_hospital)
        try:
            async with asyncio.TaskGroup() as both:
                sending = both.create_task(self._request(head, length, strike, reader, to_hospital))
                both.create_task(self._answer(strike, there, writer, sending))
        except BaseExceptionGroup as several:
            raise Dropped from several
        finally:
            _break(to_hospital)

    def _strike(self, head: bytes, length: int) -> _Strike:
        drawn, chance = self.faults.drawn(self.chance), self.chance
        places = [chance.random() for _ in range(3)]
        self.happened["requests"] += 1
        carries = _CARRIES_PICTURE.match(head) is not None and length > 0
        strike = _Strike(
            cut_request=(
                int(places[0] * (len(head) + length)) if "drop_request" in drawn else None
            ),
            cut_answer=places[1] if "drop_answer" in drawn else None,
            flip=int(places[2] * length) if "damage" in drawn and carries else None,
            pace=self.pace if "slow" in drawn else None,
            duplicate="duplicate" in drawn and _PICTURE.match(head) is not None,
        )
        self.happened["slow"] += strike.pace is not None
        return strike

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.upstream)
        secure = parts.scheme == "https"
        try:
            return await asyncio.wait_for(
                asyncio.open_connection(
                    parts.hostname,
                    parts.port or (443 if secure else 80),
                    ssl=ssl.create_default_context() if secure else None,
                    limit=HEAD_LIMIT,
                ),
                CONNECT_SECONDS,
            )
        except (OSError, TimeoutError) as error:
            self.happened["hospital_away"] += 1
            raise Dropped from error

    def _readdressed(self, head: bytes) -> bytes:
        """The request's head as the hospital expects it, with a connection for it alone."""
        host = urlsplit(self.upstream).netloc.rpartition("@")[2].encode()
        head = _CONNECTION.sub(b"", _HOST.sub(b"\r\nHost: " + host, head))
        return head[:-2] + b"Connection: close\r\n\r\n"

    async def _request(
        self,
        head: bytes,
        length: int,
        strike: _Strike,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        head = self._readdressed(head)
        kept = [head]
        left = None if strike.cut_request is None else max(1, strike.cut_request)
        left = await self._pass(head, left, "drop_request", strike, writer)
        at = 0
        while at < length:
            piece = await reader.read(min(PIECE, length - at))
            if not piece:
                raise Dropped
            if strike.duplicate:
                kept.append(piece)
            if strike.flip is not None and at <= strike.flip < at + len(piece):
                piece = _flipped(piece, strike.flip - at)
                self.happened["damage"] += 1
            at += len(piece)
            left = await self._pass(piece, left, "drop_request", strike, writer)
        if strike.duplicate:
            _keep(asyncio.create_task(self._again(b"".join(kept))), self.duplicates)

    async def _answer(
        self,
        strike: _Strike,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        sending: "asyncio.Task[None]",
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _length(head)
        # The microscope's own connection may live on where it can tell where the answer ends.
        lasting = _LENGTH.search(head) is not None and sending.done()
        if lasting:
            head = _CONNECTION.sub(b"", head)
        left = None
        if strike.cut_answer is not None:
            left = int(strike.cut_answer * (len(head) + length))
        left = await self._pass(head, left, "drop_answer", strike, writer)
        while piece := await reader.read(PIECE):
            left = await self._pass(piece, left, "drop_answer", strike, writer)
        if not lasting:
            await writer.drain()
            # The hospital has had enough of this request, or the answer ends with its connection.
            raise Dropped

    async def _pass(
        self,
        data: bytes,
        left: int | None,
        fault: str,
        strike: _Strike,
        writer: asyncio.StreamWriter,
    ) -> int | None:
        """Hand on `data`, but for what is beyond `left` bytes; returns what is left after that."""
        allowed = data if left is None else data[:left]
        if strike.pace is None:
            writer.write(allowed)
            await writer.drain()
        else:
            await _trickle(allowed, strike.pace, writer)
        if left is not None and len(data) > left:
            self.happened[fault] += 1
            raise Dropped
        return None if left is None else left - len(data)

    async def _again(self, request: bytes) -> None:
        """The same request once more, from nowhere, some time later."""
        await asyncio.sleep(self.chance.random() * LATEST_DUPLICATE)
        with contextlib.suppress(Dropped, OSError, asyncio.IncompleteReadError):
            reader, writer = await self._connect()
            try:
                writer.write(request)
                await writer.drain()
                answer = await reader.readuntil(b"\r\n")
            finally:
                _break(writer)
            self.happened["duplicate"] += 1
            self.happened[f"duplicate_answered_{answer.split()[1].decode()}"] += 1


class Wires:
    """The wires of a fleet, in a thread of their own."""

    def __init__(self, wires: dict[str, Wire]) -> None:
        """`wires` by the microscopes' names."""
        self.wires = wires
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)

    def __enter__(self) -> "Wires":
        self._thread.start()
        for wire in self.wires.values():
            self._do(wire.open())
        return self

    def __exit__(self, *error: object) -> None:
        self._do(_close(list(self.wires.values())))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def happened(self) -> Counter[str]:
        """What has happened on all of them together."""
        return sum((Counter(wire.happened) for wire in self.wires.values()), Counter())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result()


async def _close(wires: list[Wire]) -> None:
    """Close them, and what is still being carried."""
    await asyncio.gather(*(wire.close() for wire in wires))
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    # Broken transports close at the loop's next turn.
    await asyncio.sleep(0)


def _keep(task: "asyncio.Task[None] | None", among: set["asyncio.Task[None]"]) -> None:
    """Hold a task until it is done."""
    assert task is not None
    among.add(task)
    task.add_done_callback(among.discard)


def _length(head: bytes) -> int:
    match = _LENGTH.search(head)
    return int(match.group(1)) if match else 0


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


async def _trickle(data: bytes, pace: int, writer: asyncio.StreamWriter) -> None:
    step = max(1, pace // 20)
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
        await writer.drain()
        await asyncio.sleep(step / pace)


def _keep_nothing_back(writer: asyncio.StreamWriter) -> None:
    """Have `drain` wait until all is with the system: what is cut has then really left us."""
    writer.transport.set_write_buffer_limits(0)


def _break(writer: asyncio.StreamWriter) -> None:
    """End a connection as a lost one ends: nothing more is said, not even goodbye."""
    bare = writer.get_extra_info("socket")
    if bare is not None:
        with contextlib.suppress(OSError):
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
