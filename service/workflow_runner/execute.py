"""One job from claim to last event: what a cold start and a warm child both do, in the same order."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import sys
import tempfile
import time
import traceback
from typing import Any, NoReturn, Optional

from . import claim
from .errors import ProjectError, describe
from .events import Events
from .job import LOAD, Job
from .plain import Json
from .watcher import Watcher

SUCCEEDED, FAILED = 0, 1


def execute(job: Job, warm: bool) -> int:
    """Run `job`; the exit code. Nothing of MLRun or of the user is imported before the job is ours."""
    if not claim.claim(job.folder):
        return SUCCEEDED
    open_streams()
    events = Events(job.folder)
    events.emit(
        "claimed",
        pid=os.getpid(),
        python=".".join(map(str, sys.version_info[:3])),
        mlrun=version("mlrun"),
        kfp=version("kfp"),
        warm=warm,
    )
    watcher, error = Watcher(events, job), None
    try:
        _work(job, watcher)
    except BaseException as exc:  # whatever the user's code does, it is told
        error = describe(exc, job)
        _log(error, exc)
    if not events.ours:
        return FAILED  # a child that the user's code forked and that came all the way back
    sys.stdout.flush()
    events.emit("finished", state="failed" if error else "succeeded", results=watcher.results, error=error)
    return FAILED if error else SUCCEEDED


def leave(code: Any) -> NoReturn:
    """End this process now. Threads that the user's code left running end with it; exit handlers are run."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _work(job: Job, watcher: Watcher) -> None:
    url = os.environ.pop("MLRUN_DBPATH", "")  # importing mlrun with it set would connect at once
    preload()  # before the project's directory is on the path, whose modules may be called like MLRun's
    settle(job)
    import mlrun

    from . import database as databases
    from . import steps
    from .load import load as load_project
    from .run import run as run_workflow

    mlrun.mlconf.reload()
    mlrun.utils.logger.set_logger_level(str(mlrun.mlconf.log_level).upper())
    mlrun.utils.logger.replace_handler_stream("default", sys.stdout)
    api = mlrun.db.httpdb.HTTPRunDB(url) if "://" in url else None
    database = databases.RunnerDB(job.kind, watcher, api)
    steps.install(watcher, database)
    databases.install(database, url if job.kind != LOAD else "")
    _reseed()
    watcher.started()
    (load_project if job.kind == LOAD else run_workflow)(job, database, watcher)


def preload() -> None:
    """Import what every job needs and none of the user's; a warm parent does it once for all."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that MLRun brings, about Python's version
        import kfp.compiler  # noqa: F401
        import mlrun.db.httpdb
        import mlrun.launcher.factory
        import mlrun.launcher.local  # noqa: F401
    from . import database, load, run, steps  # noqa: F401


def open_streams() -> None:
    """Standard output and error anew: text that is not UTF-8 does no harm, and a reader sees each line at once.

    A warm child's were made for what its parent writes to, which may be a file where the child has a FIFO.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = open(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        stream.reconfigure(write_through=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _log(error: Json, exc: BaseException) -> None:
    """The error in the log too; all of it where no line of the user's is in it."""
    if "Traceback" in error["traceback"]:
        sys.stderr.write(error["traceback"])
    else:
        traceback.print_exception(type(exc), exc, exc.__traceback__)


def settle(job: Job) -> None:
    """The process as `python -m` would have it in the project's directory."""
    if not os.path.join(job.directory, "").startswith(os.path.join(job.source, "")):
        raise ProjectError(f"the project's path {job.project.path!r} leads out of the repository")
    if not os.path.isdir(job.directory):
        raise ProjectError(
            f"there is no directory {job.project.path!r} in the repository", "Mend projects[].path in .gitops.yaml"
        )
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


def _reseed() -> None:
    """Random numbers of its own for every job; a forked child would repeat its parent's."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def version(package: str) -> Optional[str]:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
