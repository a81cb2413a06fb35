"""`GET /containerLogs/{namespace}/{pod}/{container}` as the API server asks it of a kubelet: HTTPS, for its certificate only."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.peers.kubernetes.kubelet.logs import Wish

if TYPE_CHECKING:
    from tests.peers.kubernetes.kubelet.pod import Pod

_REQUEST_S = 10.0


class Refusal(Exception):
    """Answered with `status` and the text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class LogServer:
    """`find(namespace, name)` gives the pod. It may be closed and opened again at the same port."""

    def __init__(self, port: int, context: ssl.SSLContext, find: Callable[[str, str], Pod | None]) -> None:
        self._port, self._context, self._find = port, context, find
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._context)

    async def close(self) -> None:
        """Refuses from now on, and breaks off what it is in the middle of."""
        if self._server:
            self._server.close()
            self._server = None
        for task in self._connections:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            with contextlib.suppress(OSError):
                writer.transport.abort() if task.cancelling() else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _REQUEST_S)).decode("latin-1")
        try:
            text = self._log(head.split(" ", 2)[1])
        except Refusal as refusal:
            body = f"{refusal}\n".encode()
            writer.write(
                b"HTTP/1.1 %d Refused\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                % (refusal.status, len(body))
                + body
            )
            await writer.drain()
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        sending = asyncio.create_task(_send(writer, text))
        # Who no longer listens says so by closing; else a log that says nothing would be followed for ever.
        leaving = asyncio.create_task(reader.read(1))
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for one in (sending, leaving):
            one.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)

    def _log(self, target: str) -> AsyncIterator[bytes]:
        address = urlsplit(target)
        query = dict(parse_qsl(address.query))
        what, *parts = [unquote(part) for part in address.path.strip("/").split("/")]
        if what != "containerLogs" or len(parts) != 3:
            raise Refusal(404, "404 page not found")
        namespace, name, container = parts
        pod = self._find(namespace, name)
        if pod is None:
            raise Refusal(404, f'pod "{name}" does not exist')
        state = pod.state(container)
        if state is None:
            raise Refusal(404, f'container "{container}" not found in pod "{name}"')
        logs = pod.logs.get(container, [])
        if query.get("previous") in ("true", "1"):
            logs = logs[:-1]
            if not logs:
                raise Refusal(400, f'previous terminated container "{container}" in pod "{name}" not found')
        if not logs:
            reason = state.state.get("waiting", {}).get("reason", "")
            what = "trying and failing to pull image" if "Image" in reason else reason or "is not available"
            raise Refusal(400, f'container "{container}" in pod "{name}" is waiting to start: {what}')
        return logs[-1].read(Wish.of(query))


async def _send(writer: asyncio.StreamWriter, text: AsyncIterator[bytes]) -> None:
    async for piece in text:
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
