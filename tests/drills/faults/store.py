"""A store for objects, as much of S3 as the product speaks, that lasts when it is killed.

    python -m tests.drills.faults.store FOLDER PORT     # orders in the environment, see `orders`

Its moods, by the word 'store': 'failing' (500), 'silent' (no answer for long), 'slow', 'cut' (the
line breaks), 'full' (no space). A folder on a small file system that is really full is full, too.
"""

import errno
import os
import random
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.drills.faults.orders import of_this_process

# So many of the requests meet the mood.
SHARE = {"failing": 0.7, "silent": 0.7, "slow": 1.0, "cut": 0.7, "full": 1.0}
SLOW_SECONDS, SILENT_SECONDS = 0.5, 20.0
NO_SPACE = 507
PIECE = 1 << 16


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    orders = of_this_process()
    folder = Path()

    def handle_one_request(self) -> None:
        """A line that breaks is nothing to tell of."""
        try:
            super().handle_one_request()
        except (ConnectionError, BrokenPipeError, TimeoutError):
            self.close_connection = True

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_ill("full"):
            return
        draft = self.folder / f".{uuid.uuid4().hex}"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self._answer(NO_SPACE if full else 500, _error("StorageFull" if full else str(error)))
            return
        self._answer(200)

    def do_GET(self) -> None:
        if self._is_ill():
            return
        if "prefix" in self._query:
            self._answer(200, self._listed())
        elif self._path.is_file():
            self._answer(200, self._path.read_bytes())
        else:
            self._answer(404, _error("NoSuchKey"))

    def do_HEAD(self) -> None:
        if not self._is_ill():
            there = self._path.is_file()
            self._answer(200 if there else 404, length=self._path.stat().st_size if there else 0)

    def do_DELETE(self) -> None:
        if not self._is_ill():
            if self._path.is_file():
                self._path.unlink(missing_ok=True)
            self._answer(204)

    @property
    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    @property
    def _path(self) -> Path:
        """Of the object; the bucket is the first folder."""
        return self.folder / unquote(urlsplit(self.path).path).lstrip("/")

    def _listed(self) -> bytes:
        prefix = self._query["prefix"][0]
        folder = self._path / prefix
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        parts = [
            f"<CommonPrefixes><Prefix>{escape(prefix + one.name)}/</Prefix></CommonPrefixes>"
            if one.is_dir()
            else f"<Contents><Key>{escape(prefix + one.name)}</Key></Contents>"
            for one in found
        ]
        inside = f"<IsTruncated>false</IsTruncated>{''.join(parts)}"
        return f"<ListBucketResult>{inside}</ListBucketResult>".encode()

    def _is_ill(self, *moods: str) -> bool:
        """Whether the mood has dealt with this request; 'full' is for those who write."""
        mood = self.orders.told("store")
        if random.random() >= SHARE.get(mood, 0.0) or (mood == "full" and mood not in moods):
            return False
        match mood:
            case "slow":
                time.sleep(SLOW_SECONDS)
                return False
            case "silent":
                time.sleep(SILENT_SECONDS)
                self.close_connection = True
            case "cut":
                self.close_connection = True
            case "full":
                self._answer(NO_SPACE, _error("StorageFull"))
            case "failing":
                self._answer(500, _error("InternalError"))
        return True

    def _answer(self, status: int, body: bytes = b"", *, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the product's own logs tell."""


def _error(code: str) -> bytes:
    return f"<Error><Code>{escape(code)}</Code><Message>a drill</Message></Error>".encode()


def main(folder: str, port: str) -> None:
    """Serve until killed."""
    Handler.folder = Path(folder)
    ThreadingHTTPServer.request_queue_size = 64
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
