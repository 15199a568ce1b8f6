"""A hospital in a few lines: the device API's promises, in memory, on a real socket."""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGEST = 100_000


class Hospital(ThreadingHTTPServer):
    """Keeps pictures by their id. Can be made to break its promises.

    Attributes:
        pictures: by id, the digest and the accession number of each.
        wrong: what it does wrong: 'forgets', 'mislabels', 'keeps_refused'.
    """

    daemon_threads = True

    def __init__(self, wrong: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pictures: dict[str, tuple[str, str]] = {}
        self.wrong = wrong
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hospital(wrong: str = "") -> Iterator[Hospital]:
    with Hospital(wrong) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hospital

    def do_POST(self) -> None:
        self._body()
        if self.path.endswith("/heartbeat"):
            self._say(200, {"server_time": "2026-11-20T09:30:00Z", "interval_seconds": 60})
        else:
            self._refuse(404, "not_found")

    def do_OPTIONS(self) -> None:
        self._refuse(404, "not_found")

    def do_PUT(self) -> None:
        body = self._body()
        wanted = int(self.headers["Content-Length"])
        if len(body) < wanted:
            self.close_connection = True
            return
        digest = hashlib.sha256(body)
        said = base64.b64encode(digest.digest()).decode()
        accession = self.headers["Accession-Number"]
        if self.headers["Content-Digest"] != f"sha-256=:{said}:":
            self._refuse(422, "digest_mismatch")
        elif refusal := _refusal(body, accession):
            if self.server.wrong == "keeps_refused":
                self._keep(digest.hexdigest(), accession)
            self._refuse(*refusal)
        else:
            created = self._keep(digest.hexdigest(), accession)
            self._say(
                201 if created else 200,
                {
                    "id": self.path.rpartition("/")[2],
                    "accession": accession,
                    "sha256": digest.hexdigest(),
                    "state": "received",
                    "received_at": "2026-11-20T09:30:00Z",
                },
            )

    def do_GET(self) -> None:
        image_id = self.path.rpartition("/")[2]
        if image_id not in self.server.pictures:
            self._refuse(404, "unknown_image")
            return
        digest, accession = self.server.pictures[image_id]
        self._say(
            200,
            {
                "id": image_id,
                "sha256": digest,
                "accession": "X-1" if self.server.wrong == "mislabels" else accession,
                "analysis": {"state": "succeeded"},
                "rejection": None,
                "report": {"status": "partial"},
            },
        )

    def _keep(self, digest: str, accession: str) -> bool:
        """Whether it was not here before."""
        image_id = self.path.rpartition("/")[2]
        with self.server.lock:
            created = image_id not in self.server.pictures
            if self.server.wrong != "forgets":
                same = self.server.pictures.setdefault(image_id, (digest, accession))
                assert same == (digest, accession)
        return created

    def _body(self) -> bytes:
        wanted, body = int(self.headers.get("Content-Length", 0)), b""
        with contextlib.suppress(ConnectionError):
            while len(body) < wanted and (piece := self.rfile.read1(wanted - len(body))):
                body += piece
        return body

    def _refuse(self, status: int, code: str) -> None:
        self._say(status, {"status": status, "code": code, "detail": "A sentence."})

    def _say(self, status: int, what: dict[str, object]) -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one_request(self) -> None:
        """As always; that connections break is what this is about."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Nothing."""


def _refusal(body: bytes, accession: str) -> tuple[int, str] | None:
    if len(body) > LARGEST:
        return 413, "too_large"
    if not body.startswith(b"\xff\xd8"):
        return 415, "not_an_image"
    if accession.startswith("NOBODY"):
        return 404, "unknown_accession"
    return None
