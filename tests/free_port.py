"""Ports for programs that cannot choose one by themselves, and ports that refuse connections."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def free_port() -> int:
    """Return a free port that no other test is given.

    It is below the ports that the system gives to a server that asks for any port (on Linux from 32768).
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port that refuses connections, and that no server can use meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
