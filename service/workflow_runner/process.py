"""The process around a job, made the same for a cold start and for a forked child."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import os
import random
import signal
import sys
import tempfile
import time
from typing import NoReturn, Optional

from .errors import ProjectError
from .job import Job
from .mask import Masked

# What MLRun itself imports only when it loads a project or runs a step, as far as a version has it.
_LATE = (
    "mlrun.db.factory",
    "mlrun.db.nopdb",
    "mlrun.package.packagers.pandas_packagers",
    "mlrun.package.packagers.python_standard_library_packagers",
    "mlrun.track.tracker_manager",
)


def preload() -> None:
    """Import what every job needs and none of the user's; a warm parent does it once for all."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that MLRun brings, about Python's version
        import kfp.compiler  # noqa: F401
        import mlrun.db.httpdb
        import mlrun.launcher.factory
        import mlrun.launcher.local  # noqa: F401

        for name in _LATE:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    from . import api, database, execute, load, run, steps  # noqa: F401


def open_streams(secret: str = "") -> None:
    """Standard output and error anew: text that is not UTF-8 does no harm, a reader sees each line at once, and `secret` never.

    A warm child's were made for what its parent writes to, which may be a file where the child has a FIFO.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        raw = open(number, "wb", closefd=False)  # noqa: SIM115
        stream = Masked(
            raw, secret, encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def usual_signals() -> None:
    """As Python begins in a terminal: what started us (nohup, a shell's `&`) must not decide what user code hears."""
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def settle(job: Job) -> None:
    """The process as `python -m` would have it in the project's directory."""
    if not os.path.join(job.directory, "").startswith(os.path.join(job.source, "")):
        raise ProjectError(f"the project's path {job.project.path!r} leads out of the repository")
    if not os.path.isdir(job.directory):
        raise ProjectError(
            f"there is no directory {job.project.path!r} in the repository", "Mend projects[].path in .gitops.yaml"
        )
    usual_signals()
    os.chdir(job.directory)
    time.tzset()
    archive = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [job.directory] + [
        entry for entry in sys.path if os.path.abspath(entry or ".") not in (archive, job.directory)
    ]
    if "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = os.path.join(job.folder, "tmp")
        os.makedirs(os.environ["TMPDIR"], exist_ok=True)
    tempfile.tempdir = None


def reseed() -> None:
    """Random numbers of its own for every job; a forked child would repeat its parent's."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


@functools.lru_cache(maxsize=None)
def version(package: str) -> Optional[str]:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def leave(code: int) -> NoReturn:
    """End this process now. Threads that the user's code left running end with it; exit handlers are run."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
