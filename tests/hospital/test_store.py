"""Promises of a store of objects: whatever is wrong with it looks like a disk that fails."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.files.storage import default_storage

from hospital.base import files


class Ill(BaseHTTPRequestHandler):
    """A store that answers everything with the server's `mood`: a status, or a broken line."""

    def do_GET(self) -> None:
        mood = self.server.mood  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if mood == "cut":
            self.close_connection = True
            return
        self.send_response(200 if mood == "short" else mood)
        self.send_header("Content-Length", "100" if mood == "short" else "0")
        self.end_headers()
        if mood == "short":
            self.wfile.write(b"half of it")
            self.close_connection = True

    do_PUT = do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def store(settings: Any) -> Iterator[Any]:
    """The store, and the product set to use it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ill)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "hospital.base.store.ObjectStorage",
            "OPTIONS": {
                "bucket_name": "leukolens",
                "endpoint_url": f"http://127.0.0.1:{server.server_port}",
                "access_key": "a",
                "secret_key": "b",
            },
        },
    }
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("mood", [500, 503, 507, 403, "cut"])
def test_a_store_that_fails_is_a_disk_that_fails(store: Any, mood: Any) -> None:
    store.mood = mood
    failed = files.put_all({"images/aa": b"one", "images/bb": b"two"})
    assert sorted(failed) == ["images/aa", "images/bb"]
    with pytest.raises(OSError, match="images/aa") as raised:
        files.read("images/aa")
    assert not isinstance(raised.value, FileNotFoundError)


def test_an_answer_that_breaks_off_is_no_picture(store: Any) -> None:
    store.mood = "short"
    with pytest.raises(OSError, match="images/aa"):
        files.read("images/aa")


def test_what_is_not_in_the_store_is_told_from_a_store_that_fails(store: Any) -> None:
    store.mood = 404
    assert not default_storage.exists("images/aa")
    with pytest.raises(FileNotFoundError):
        files.read("images/aa")
