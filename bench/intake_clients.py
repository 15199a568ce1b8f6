"""The microscopes of `bench.intake`: one process, a thread and a connection for each.

Reads its orders as JSON and answers with JSON. On bare sockets: a client library would cost more
than the hospital does, and the machine is shared with it.
"""

import base64
import hashlib
import itertools
import json
import socket
import sys
import threading
import time
import uuid
from typing import Any

from bench.pictures import chosen, distinct

A_SPECIMEN = 10  # pictures, before the next slide is laid under the microscope


class Client(threading.Thread):
    """One microscope that sends without a pause until time is up."""

    def __init__(self, order: dict[str, Any], number: int, pictures: list[bytes]) -> None:
        super().__init__()
        self.port, self.bulk, self.seconds = order["port"], order["bulk"], order["seconds"]
        keys = order["keys"]
        self.key = keys[number % len(keys)]
        self.labels = itertools.cycle(order["labels"][number % len(keys) :: len(keys)])
        self.pictures = itertools.cycle(pictures)
        self.latencies: list[float] = []
        self.stored = 0
        self.failed: dict[str, int] = {}

    def run(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + self.seconds
        for number in itertools.count():
            if time.monotonic() >= end:
                break
            if self.bulk > 1 or number % A_SPECIMEN == 0:
                label = next(self.labels)
            request = self._many(label) if self.bulk > 1 else self._one(label)
            began = time.monotonic()
            self._ask(request)
            self.latencies.append(time.monotonic() - began)
        self.socket.close()

    def _one(self, label: str) -> bytes:
        body = distinct(next(self.pictures))
        return self._request(
            f"PUT /api/device/v1/images/{uuid.uuid4()}",
            f"Content-Digest: {digest(body)}\r\nAccession-Number: {label}\r\n",
            body,
        )

    def _many(self, label: str) -> bytes:
        parts = []
        for _ in range(self.bulk):
            body = distinct(next(self.pictures))
            words = {"id": str(uuid.uuid4()), "accession": label, "size": len(body)}
            parts += [json.dumps(words | {"content_digest": digest(body)}).encode(), b"\n", body]
        return self._request("POST /api/device/v1/images", "", b"".join(parts))

    def _request(self, line: str, headers: str, body: bytes) -> bytes:
        head = (
            f"{line} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {self.key}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _ask(self, request: bytes) -> None:
        self.socket.sendall(request)
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += self._hear()
        head, _, body = heard.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])
        while len(body) < length:
            body += self._hear()
        status = head.split(None, 2)[1].decode()
        if self.bulk > 1 and status == "200":
            self.stored += body.count(b'"status":201')
        elif status == "201":
            self.stored += 1
        else:
            self.failed[status] = self.failed.get(status, 0) + 1

    def _hear(self) -> bytes:
        if not (part := self.socket.recv(65536)):
            raise ConnectionError("the web hung up")
        return part


def digest(body: bytes) -> str:
    """The Content-Digest header of `body`."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def main() -> None:
    order = json.load(sys.stdin)
    pictures, _ = chosen()
    clients = [Client(order, number, pictures) for number in range(order["clients"])]
    began, cpu = time.monotonic(), time.process_time()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    failed: dict[str, int] = {}
    for client in clients:
        for status, count in client.failed.items():
            failed[status] = failed.get(status, 0) + count
    json.dump(
        {
            "stored": sum(client.stored for client in clients),
            "seconds": time.monotonic() - began,
            "cpu": time.process_time() - cpu,
            "latencies": [seconds for client in clients for seconds in client.latencies],
            "failed": failed,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
