"""The listening socket. It can refuse connections for some time and then listen on the same port again."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

_BACKLOG: Final = 1024


class Listener:
    """A socket that is bound to an address. It accepts or refuses connections.

    Args:
        host: the host name or address to listen on.
        port: the port. 0 chooses a free port.
        protocol_factory: creates the protocol for each connection.
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
        """Accept connections. The operating system queues them until the event loop has started the server."""
        self._is_accepting = True
        self._update()

    def refuse(self) -> None:
        """Refuse connections but keep the port.

        The operating system refuses connections to a socket that is bound to its port but does not listen.
        """
        self._is_accepting = False
        self._update()

    async def close(self) -> None:
        """Close the socket and release the port."""
        if self._starting is not None:
            await self._starting
        if self._server is not None:
            self._server.close()
            self._server = None
        self._socket.close()

    def _update(self) -> None:
        """Start or stop the server according to ``_is_accepting``.

        A server that is still starting cannot be stopped. In this case, do nothing: ``_start`` calls this method again
        when the server has started.
        """
        if self._starting is not None:
            return
        if self._is_accepting and self._server is None:
            self._socket.listen(_BACKLOG)
            self._starting = asyncio.get_running_loop().create_task(self._start())
        elif not self._is_accepting and self._server is not None:
            self._server.close()  # this also closes the socket
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
