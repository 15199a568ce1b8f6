"""Ports that are free."""

import socket

LOOPBACK = "127.0.0.1"


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody uses it on this machine's loopback, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As servers do it: a port whose last connections are only fading away counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no free port on this machine")
