"""Lines that can be cut: TCP from an address of the drill's to a server, until somebody cuts it."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

PIECE = 1 << 16


class Relay:
    """Several lines in one thread, cut and mended together."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._open: set[asyncio.StreamWriter] = set()
        self._whole = True

    def line(self, host: str, to: tuple[str, int]) -> int:
        """Listen at `host` for whoever wants `to`; returns the port."""

        async def listen() -> int:
            async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._carry(reader, writer, to)

            server = await asyncio.start_server(carry, host, 0)
            return int(server.sockets[0].getsockname()[1])

        return self._do(listen())

    def cut(self) -> None:
        """Break what is open, and let nobody through."""
        self._do(self._cut())

    def mend(self) -> None:
        """Let everybody through again."""
        self._whole = True

    async def _cut(self) -> None:
        self._whole = False
        for writer in self._open:
            writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: tuple[str, int]
    ) -> None:
        self._open.add(writer)
        try:
            if not self._whole:
                return
            there, server = await asyncio.open_connection(*to)
            self._open.add(server)
            try:
                await asyncio.gather(_pump(reader, server), _pump(there, writer))
            finally:
                self._open.discard(server)
                server.transport.abort()
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
