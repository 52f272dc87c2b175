"""A raw-socket server whose every connection plays a script: bytes as they are, faults as they happen."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Script = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One accepted connection, as a script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: "FaultServer") -> None:
        self._reader = reader
        self._writer = writer
        self._server = server

    async def request(self) -> bytes:
        """Read one request, body included; it is counted."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        self._server.heads.append(head)
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                await self._reader.readexactly(int(value))
        return head

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def peer_closes(self) -> None:
        """Wait until the client has closed the connection."""
        while await self._reader.read(65536):
            pass

    def reset(self) -> None:
        """Close with a RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class FaultServer:
    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self.url = ""
        self.errors: list[Exception] = []


@asynccontextmanager
async def fault_server(script: Script) -> AsyncIterator[FaultServer]:
    """Every connection plays ``script`` and is closed behind it; a script that is wrong fails the test."""
    state = FaultServer()
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        state.connections += 1
        try:
            await script(Connection(reader, writer, state))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        except Exception as error:  # noqa: BLE001  # the client sees a connection that closes, the test all of them
            state.errors.append(error)
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2"
    try:
        yield state
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if state.errors:
        raise ExceptionGroup("a script failed", state.errors)
