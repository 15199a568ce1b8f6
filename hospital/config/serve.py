"""One web process: HTTP and websockets at an address that others may serve as well.

    python -m hospital.config.serve --host 127.0.0.1 --port 8000

Python runs one thread at a time, so a machine's cores are used by several of these. Each listens
for itself (SO_REUSEPORT) and the kernel deals the connections out; where that is not to be had,
the second finds the port taken.
"""

import argparse
import gc
import socket

import uvicorn

from hospital.config.stack.child import announce_readiness


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket bound to the address, which others of the same user may share."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound


class AnnouncingServer(uvicorn.Server):
    """uvicorn that says when it listens: the address may be answering already, by another."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and announce it."""
        await super().startup(sockets)
        # All code is loaded and stays: the collector need not walk through it again and again.
        gc.freeze()
        announce_readiness()


def main() -> None:
    """Serve until SIGTERM; requests in hand are answered first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    config = uvicorn.Config(
        "hospital.config.asgi:application",
        lifespan="off",
        # Who is a proxy, and what it may say, is settled in one place: hospital.base.proxies.
        proxy_headers=False,
        use_colors=False,
        # Addresses may hold what somebody searched for, a patient's name for one: not logged.
        access_log=False,
        timeout_graceful_shutdown=5,
        ws_max_size=65_536,  # pages have nothing to say over the socket
    )
    AnnouncingServer(config).run(sockets=[listening_socket(options.host, options.port)])


if __name__ == "__main__":
    main()
