"""The warm parent: MLRun and kfp imported once, a child forked for each job.

A child does what a cold start does from its claim on; what differs between the two, the process around it, is put
right in `_become`. Some children are forked already and wait to be told their job; it is the only one they ever get.

The parent imports no user code and opens no connection. It forks only while it is single-threaded
(a lock that another thread holds at the fork stays held in the child for ever), and says `cold` with the reason
otherwise.

One parent owns a socket: it holds the lock file beside it. It knows nothing of who asks, so it outlives the service
and serves the next one; alone for a minute, it ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import hashlib
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from functools import partial
from typing import Any, Optional

VERSION = 1
IDLE_S = 60.0
# Children that wait for a job: a fork takes 5 ms, and a push has two jobs, to load the project and to run it.
SPARES = 2
REST_S = 0.5  # they are replaced when there was nothing to do for so long
# A client that connects sends its line at once.
REQUEST_S = 5.0
REQUEST_BYTES = 1024 * 1024
# A limit that Linux ignores; by its number the launcher knows all processes of a job.
RLIMIT_LOCKS = 10

# Libraries start their threads when they are imported: BLAS its pool, Arrow's allocator its sweeper.
SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def serve(path: str, idle_s: float) -> int:
    """Serve the socket `path` until there was nothing to do for `idle_s`. Returns 0 also when another parent has it."""
    lock = os.open(path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return 0
    os.environ.update(SINGLE_THREADED)
    from .process import preload

    preload()
    gc.collect()
    gc.freeze()
    os.umask(0o077)
    if os.path.lexists(path):
        os.unlink(path)  # a parent that was killed left it
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    parent = _Parent(listener, lock, idle_s)
    print(json.dumps(parent.ping()), flush=True)
    try:
        parent.loop()
    finally:
        os.unlink(path)
    return 0


class _Parent:
    def __init__(self, listener: socket.socket, lock: int, idle_s: float) -> None:
        self.listener = listener
        self.lock = lock
        self.idle_s = idle_s
        self.children: dict[int, socket.socket] = {}  # pid → the connection that waits for its exit code
        self.wake, self.woken = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(self.wake, False)
        self.about = _about()
        self.spares: dict[int, socket.socket] = {}  # pid → where it waits to be told its job
        self.wanting = True  # some more
        self.busy_at = time.monotonic()

    def loop(self) -> None:
        signal.set_wakeup_fd(self.woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        waiting: list[Any] = [self.listener, self.wake]
        while True:
            ready = select.select(waiting, [], [], self.patience())[0]
            if not ready and self.wanting:
                self.refill()
            elif not ready and not self.children:
                return
            if self.wake in ready:
                os.read(self.wake, 4096)
            self.reap()
            if self.listener in ready:
                self.busy_at = time.monotonic()
                self.serve_one()

    def patience(self) -> Optional[float]:
        """How long nothing may happen before something is to be done about it."""
        if self.wanting:
            return REST_S
        return None if self.children else max(0.0, self.busy_at + self.idle_s - time.monotonic())

    def refill(self) -> None:
        self.wanting = False
        with contextlib.suppress(OSError):  # a child is forked when it is wanted then, and that one tells
            while len(self.spares) < SPARES and self.fork():
                pass

    def reap(self) -> None:
        while self.children or self.spares:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in self.children:
                self.busy_at = time.monotonic()
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                _answer(self.children.pop(pid), {"exit": code})
            elif pid in self.spares:  # somebody killed it while it waited
                self.spares.pop(pid).close()
                self.wanting = True

    def serve_one(self) -> None:
        connection, _ = self.listener.accept()
        try:
            connection.settimeout(REQUEST_S)
            request = _request(connection)
            if request.get("ping"):
                _answer(connection, self.ping())
            else:
                self.start(connection, request)
        except Exception as exc:  # no request may end the parent
            _answer(connection, {"error": str(exc) or type(exc).__name__})

    def start(self, connection: socket.socket, request: dict[str, Any]) -> None:
        _check(request)
        pid = self.tell(request, connection)
        if pid is None:
            names = thread_names()
            _answer(connection, {"cold": "the warm parent has {} threads: {}".format(len(names), ", ".join(names))})
            return
        self.children[pid] = connection
        _send(connection, {"pid": pid})

    def tell(self, request: dict[str, Any], connection: socket.socket) -> Optional[int]:
        """The pid of the child that has the job; None when there is none and none may be forked."""
        self.wanting = True
        while self.spares or self.fork(connection):
            pid, line = self.spares.popitem()
            with line, contextlib.suppress(OSError):  # somebody killed it while it waited
                line.sendall(json.dumps(request).encode())
                return pid
        return None

    def fork(self, *open_here: socket.socket) -> bool:
        """One more child that waits. False where a lock that another thread holds would stay held in it."""
        if len(thread_names()) > 1:
            return False
        ours, theirs = socket.socketpair()
        ours.settimeout(REQUEST_S)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            sockets = [self.listener, ours, *self.spares.values(), *self.children.values(), *open_here]
            _child(theirs, sockets, [self.lock, self.wake, self.woken])
        theirs.close()
        self.spares[pid] = ours
        return True

    def ping(self) -> dict[str, Any]:
        return dict(self.about, ready=True, threads=len(thread_names()), jobs=len(self.children))


def _about() -> dict[str, Any]:
    from .process import version

    return {
        "version": VERSION,
        "pid": os.getpid(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "mlrun": version("mlrun"),
        "kfp": version("kfp"),
        "pyz": _digest(sys.argv[0]),
    }


def _digest(path: str) -> Optional[str]:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def thread_names() -> list[str]:
    """The names of all threads the kernel knows; Python does not see those that libraries start."""
    names = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm", "rb") as file:  # it may have ended
            names.append(file.read().decode(errors="replace").strip())
    return names


def _request(connection: socket.socket) -> dict[str, Any]:
    """The one line of a connection, from our own user or root only."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", credentials)[1] not in (0, os.geteuid()):
        raise ValueError("only the user of this parent may ask it")
    data = b""
    while not data.endswith(b"\n"):
        more = connection.recv(65536)
        if not more:
            break
        data += more
        if len(data) > REQUEST_BYTES:
            raise ValueError(f"the request is larger than {REQUEST_BYTES} bytes")
    request = json.loads(data)
    if not isinstance(request, dict):
        raise ValueError("the request must be an object")  # noqa: TRY004 - the peer's mistake
    return request


def _check(request: dict[str, Any]) -> None:
    for field in ("job", "log", "cwd"):
        if not isinstance(request.get(field), str) or not os.path.isabs(request[field]):
            raise ValueError(f"{field}: {request.get(field)!r} is not an absolute path")
    environment = request.get("env")
    if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
        raise ValueError("env: must be an object of texts")
    for field in ("uid", "processes", "tag"):
        if not isinstance(request.get(field), (int, type(None))):
            raise ValueError(f"{field}: {request[field]!r} is not a number")  # noqa: TRY004


def _answer(connection: socket.socket, reply: dict[str, Any]) -> None:
    _send(connection, reply)
    connection.close()


def _send(connection: socket.socket, reply: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # whoever asked is gone; the job's folder tells the next one
        connection.sendall(json.dumps(reply).encode() + b"\n")


def _child(line: socket.socket, sockets: list[socket.socket], files: list[int]) -> None:
    """Wait for the one job and do it. Never returns."""
    code = 1  # as of any Python that raised; 2 says that the job itself is no good
    try:
        for one in sockets:
            one.close()
        signal.set_wakeup_fd(-1)
        for file in files:
            os.close(file)
        with line:
            told = b"".join(iter(partial(line.recv, 65536), b""))
        if not told:
            os._exit(0)  # the parent has ended
        request = json.loads(told)
        _become(request)
        code = _job(request["job"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        from .process import leave

        leave(code)


def _job(path: str) -> int:
    from .execute import execute
    from .job import BadJobError, read

    try:
        job = read(path)
    except BadJobError as exc:
        sys.stderr.write(f"{path}: {exc}\n")
        return 2
    return execute(job, warm=True)


def _become(request: dict[str, Any]) -> None:
    """Make this forked child the process that a cold start would have been."""
    os.setsid()
    from .process import usual_signals

    usual_signals()
    _redirect(request["log"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if request.get("processes"):
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        most = request["processes"] if hard == resource.RLIM_INFINITY else min(request["processes"], hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    if request.get("tag"):
        resource.setrlimit(RLIMIT_LOCKS, (request["tag"], request["tag"]))
    uid = request.get("uid")
    if uid is not None and uid != os.geteuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv[1:] = [request["job"]]
    gc.enable()


def _redirect(log: str) -> None:
    """Standard output and error to `log`. A FIFO is opened at both ends, so that no reader's end is this one's."""
    fifo = os.path.exists(log) and not os.path.isfile(log)
    output = os.open(log, os.O_RDWR if fifo else os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for file in {output, nothing} - {0, 1, 2}:
        os.close(file)
