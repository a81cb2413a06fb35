"""Whether the process is alive, told on a port of its own, by a thread that does nothing else.

All threads for requests may be waiting for a database that is silent, or for strangers who send half a body. That is no reason to start the
process again, which ends what works and heals nothing. So who asks whether it lives waits for none of them, and no database is asked.
"""

from __future__ import annotations

import asyncio
import socket
import threading

from service.errors import SettingsError

_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\nconnection: close\r\n\r\n"
    b'{"status":"ok"}'
)
_UNKNOWN = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_REQUEST_BYTES = 8 * 1024
# Strangers who say nothing are let go.
_PATIENCE_S = 5.0


def answer(address: str, port: int) -> int:
    """Answer `GET /healthz` at this port, 0 for a free one, until the process ends; which port it is. Raises SettingsError where it is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listening = socket.create_server((address, port), family=family)
    except OSError as error:
        raise SettingsError(
            f"server.health_port {port} cannot be listened on: {error.strerror}",
            mend="Choose another one, or end what uses it",
        ) from error
    taken: int = listening.getsockname()[1]
    threading.Thread(target=lambda: asyncio.run(_serve(listening)), name="liveness", daemon=True).start()
    return taken


async def _serve(listening: socket.socket) -> None:
    server = await asyncio.start_server(_one, sock=listening, limit=_REQUEST_BYTES)
    await server.serve_forever()


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            asked = await reader.readuntil(b"\r\n\r\n")
            writer.write(_ANSWER if asked.startswith(b"GET /healthz ") else _UNKNOWN)
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


__all__ = ["answer"]
