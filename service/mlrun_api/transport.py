"""The way to the MLRun API over the network: httpx, with an end to every call that no server can put off.

httpx's timeouts are those of single reads, and a server that sends a byte now and then keeps each of them for ever. So every
read and write also ends at the deadline of its call. Proxies and credentials of the environment are not looked at,
redirects not followed, compressed answers not asked for: what comes is as large as it looks.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpcore
import httpx

from service import limits
from service.errors import MlrunRefused

CONNECT_S = 5.0
# A server that closes idle connections after 5 s, as uvicorn does, must not do so just when we use one again.
_IDLE_S = 2.0
_CONNECTIONS = 20
# Whatever ends a call without an answer.
FAILURES: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)
# A server ended a connection that it had kept open for us, in the moment in which it was used again.
CUT_OFF = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException)
# What happens before anything was sent.
UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
)


class Deadline(threading.local):
    """When the call that this thread makes has to have ended, by `time.monotonic`."""

    at: float = float("inf")

    def cut(self, timeout: float | None, over: type[httpcore.TimeoutException]) -> float:
        """The seconds that are left, `timeout` at most. Raises `over` where there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise over("the answer has no end")
        return left if timeout is None else min(left, timeout)


class Transport(httpx.BaseTransport):
    """What httpx sends requests through."""

    def __init__(self, deadline: Deadline, ca_bundle: Path | None, *, keep: bool) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=_trusting(ca_bundle),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS if keep else 0,
            keepalive_expiry=_IDLE_S,
            network_backend=_Backend(deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(answer.stream, Iterable)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream))

    def close(self) -> None:
        self._pool.close()


def client(transport: Transport, base_url: str, headers: dict[str, str]) -> httpx.Client:
    return httpx.Client(
        transport=transport,
        base_url=base_url,
        headers={"accept-encoding": "identity", "user-agent": "mlrun-gitops", **headers},
        timeout=httpx.Timeout(limits.SUBMIT_TIMEOUT_S, connect=CONNECT_S),  # the longest; each call has its deadline
        follow_redirects=False,
        trust_env=False,
    )


def _trusting(ca_bundle: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if ca_bundle is not None:
            context.load_verify_locations(ca_bundle)
    except OSError as error:
        what = f"mlrun.ca_bundle {ca_bundle} holds no certificates that can be read: {error.strerror or error}"
        raise MlrunRefused(what, mend="name a file with certificates in PEM") from error
    return context


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        if (close := getattr(self._stream, "close", None)) is not None:
            close()


class _Backend(httpcore.SyncBackend):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._deadline.cut(timeout, httpcore.ConnectTimeout)
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._deadline)


class _Stream(httpcore.NetworkStream):
    """Closed by another thread, it first ends what is being read or written: the number of a closed descriptor is soon another connection's,
    from which TLS would read on, and into which it would complain."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline
        self._used = threading.Lock()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        timeout = self._deadline.cut(timeout, httpcore.ReadTimeout)
        with self._used:
            return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        timeout = self._deadline.cut(timeout, httpcore.WriteTimeout)
        with self._used:
            self._inner.write(buffer, timeout)

    def close(self) -> None:
        if not self._used.acquire(blocking=False):
            with suppress(OSError):
                # Not TLS's own, which would only forget that it is TLS.
                socket.socket.shutdown(self.get_extra_info("socket"), socket.SHUT_RDWR)
            self._used.acquire()
        try:
            self._inner.close()
        finally:
            self._used.release()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = self._deadline.cut(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
