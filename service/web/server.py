"""Runs the app under granian: a master that only watches, and one worker that has the threads, the store and the launchers.

One worker, because SQLite has one writer. The worker dies with its master, since a master that is gone leaves nobody
to stop it, and a second service would start beside it on the same port; a worker that dies is started again. Settings reach
the worker by fork, so that no secret is ever in an argument or an environment.
"""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any, NamedTuple

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from service.errors import GitopsError, SettingsError
from service.settings import Settings, forget_secrets
from service.web import idle, liveness
from service.web.drain import Drain
from service.web.process import die_with, keep_memory_private

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

# Requests in flight get this long after SIGTERM, and the app to close; then the worker is killed.
STOP_GRACE_S = 20
# Connections, of which most are idle or wait for a thread; what comes beyond them waits in the kernel.
_CONNECTIONS = 1024
_BACKLOG = 1024
# A stranger who sends half a header is let go.
_HEADER_TIMEOUT_MS = 10_000
_HEADER_BYTES = 64 * 1024
_PIPE_BYTES = 64 * 1024
# Its records go the way of all others; nothing below an error concerns anybody but granian.
_LOGGING: dict[str, Any] = {"loggers": {"_granian": {"propagate": True}}, "handlers": {}, "formatters": {}}


class Served(NamedTuple):
    """What a factory makes, in the worker: the app, and what ends it after the last request."""

    app: WSGIApplication
    close: Callable[[], None]


Factory = Callable[[Settings], Served]


def serve(
    settings: Settings,
    factory: Factory,
    announce: Callable[[str], None] = lambda _: None,
    *,
    idle_s: float = idle.IDLE_S,
) -> None:
    """Serve until SIGTERM or SIGINT. `announce` hears the URL once the port is ours; silent connections end after `idle_s`.

    Raises what `factory` raised in the worker, and SettingsError when the port is taken or strangers could reach an API
    without tokens. Ends by SystemExit(1) when the worker dies again and again.
    """
    _check_exposure(settings)
    keep_memory_private()
    forget_secrets(os.environ)
    address = _address(settings.server.host)
    with _reserve(address, settings.server.port) as reserved:
        port: int = reserved.getsockname()[1]
        announce(_url(address, port))
        drain = Drain()
        load = partial(_load, settings, factory, drain, os.getpid(), port, idle_s)
        _run(settings, load, drain, address, port)


class _Server(MPServer):
    """granian that lets the world know before it ends by SIGTERM. Another signal meanwhile, or SIGINT, ends it at once."""

    drain: Drain
    drain_s: float

    def signal_handler_interrupt(self, *args: Any, **also: Any) -> None:
        if self.drain.begun or self.drain_s <= 0 or args[:1] != (signal.SIGTERM,):
            super().signal_handler_interrupt(*args, **also)  # type: ignore[no-untyped-call]  # granian types no method of it
            return
        self.drain.begin()
        end = threading.Timer(self.drain_s, super().signal_handler_interrupt)
        end.daemon = True
        end.start()


def _run(settings: Settings, load: Callable[[int], WSGIApplication], drain: Drain, address: str, port: int) -> None:
    said, says = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    # What is here now stays in pages that master and worker share: a collection in either would write to them.
    gc.collect()
    gc.freeze()
    server = _Server(
        "service",
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.server.threads,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT_MS, max_buffer_size=_HEADER_BYTES),
        backlog=_BACKLOG,
        backpressure=_CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_GRACE_S,
        log_level=LogLevels.error,
        log_dictconfig=_LOGGING,
    )
    server.drain, server.drain_s = drain, settings.drain_s
    try:
        server.serve(target_loader=partial(load, says), wrap_loader=False)
    finally:
        told = _heard(said)
        os.close(says)
        os.close(said)
        if told is not None:
            raise told


def _load(
    settings: Settings, factory: Factory, drain: Drain, master: int, port: int, idle_s: float, says: int
) -> WSGIApplication:
    """In the worker, before its first request. A failure is told to the master, which then stops instead of trying again."""
    die_with(master)
    try:
        served = factory(settings)
        if (beside := settings.server.health_port) is not None:
            liveness.answer(_address(settings.server.host), beside)
    except Exception as error:
        _tell(says, error)
        os.kill(master, signal.SIGINT)
        raise SystemExit(1) from error
    idle.watch(port, idle_s)
    Finalize(None, served.close, exitpriority=10)
    return drain.wrap(served.app)


def _tell(says: int, error: Exception) -> None:
    """Fits a pipe's 64 KiB: longer text stays in the log."""
    if not isinstance(error, GitopsError):
        log.error("the service could not start", exc_info=error)
        error = GitopsError(f"the service could not start: {type(error).__name__}: {error}"[:2000])
    told = pickle.dumps(error)
    os.write(says, told if len(told) < _PIPE_BYTES else pickle.dumps(GitopsError(error.what[:2000])))


def _heard(said: int) -> GitopsError | None:
    """What the worker told, if it told something."""
    try:
        told: GitopsError = pickle.loads(os.read(said, _PIPE_BYTES))  # noqa: S301 - written by our own fork
    except BlockingIOError:
        return None
    return told


def _check_exposure(settings: Settings) -> None:
    """Settings say this too; it is said again where the socket is opened."""
    if not settings.server.loopback and not settings.auth.tokens:
        raise SettingsError(
            f"server.host {settings.server.host!r} is open to the network, and the API has no tokens",
            mend="Add auth.tokens (`mlrun-gitops token` makes one), or listen on 127.0.0.1",
        )


def _address(host: str) -> str:
    """granian binds addresses, not names."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise SettingsError(
            f"server.host {host!r} is no address", mend="Write an IP address: 127.0.0.1, 0.0.0.0 or ::"
        ) from None


def _reserve(address: str, port: int) -> socket.socket:
    """A socket that holds the port for us, also while no worker listens; port 0 becomes a free one.

    Workers bind with SO_REUSEPORT, with which two services would share a port without noticing. This one binds
    without, so that a second service is refused, and lets the workers in afterwards.
    """
    reserved = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((address, port))
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        reserved.close()
        raise SettingsError(
            f"{_url(address, port)} cannot be listened on: {error.strerror}",
            mend="Choose another server.port, or end what uses this one",
        ) from error
    return reserved


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


__all__ = ["Factory", "Served", "serve"]
