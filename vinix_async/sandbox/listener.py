"""The listening socket, which can refuse connections for a while and then listen again on the same port."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

_BACKLOG: Final = 1024


class Listener:
    """A socket that is bound to one address, and that accepts connections or refuses them.

    Args:
        host: where to listen.
        port: the port; 0 chooses a free one.
        protocol_factory: makes the protocol of each connection.
    """

    def __init__(self, host: str, port: int, protocol_factory: Callable[[], asyncio.BaseProtocol]) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self._family: int = family
        self._address: Any = address
        self._protocol_factory = protocol_factory
        self._socket = self._bind()
        self._address = self._socket.getsockname()
        self._is_accepting = False
        self._starting: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that the socket is bound to."""
        return int(self._address[1])

    def accept(self) -> None:
        """Accept connections. The system does so at once, and the event loop serves them after a turn or two."""
        self._is_accepting = True
        self._update()

    def refuse(self) -> None:
        """Refuse connections but keep the port: the system refuses them where a bound socket does not listen."""
        self._is_accepting = False
        self._update()

    async def close(self) -> None:
        """Give up the port."""
        if self._starting is not None:
            await self._starting
        if self._server is not None:
            self._server.close()
            self._server = None
        self._socket.close()

    def _update(self) -> None:
        """Start or stop the server. While it starts it cannot be stopped, and ``_start`` calls this again."""
        if self._starting is not None:
            return
        if self._is_accepting and self._server is None:
            self._socket.listen(_BACKLOG)
            self._starting = asyncio.get_running_loop().create_task(self._start())
        elif not self._is_accepting and self._server is not None:
            self._server.close()  # which closes the socket
            self._server = None
            self._socket = self._bind()

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol_factory, sock=self._socket, backlog=_BACKLOG)
        self._starting = None
        self._update()

    def _bind(self) -> socket.socket:
        bound = socket.socket(self._family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(self._address)
        except OSError:
            bound.close()
            raise
        return bound
