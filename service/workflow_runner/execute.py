"""One job from claim to last event: what a cold start and a warm child both do, in the same order."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from typing import Any

from . import claim
from .errors import describe
from .events import Events
from .job import LOAD, Api, Job
from .plain import Json
from .process import open_streams, preload, reseed, settle, version
from .watcher import Watcher

SUCCEEDED, FAILED = 0, 1
FULL_DISK_S = 60.0


def execute(job: Job, warm: bool) -> int:
    """Run `job`; the exit code. Nothing of MLRun or of the user is imported before the job is ours."""
    durable = job.kind != LOAD  # a load that a power cut spoiled is loaded again
    if not claim.claim(job.folder, durable):
        return SUCCEEDED
    secret = job.mlrun.token if job.mlrun else ""
    open_streams(secret)
    events = Events(job.folder, durable, secret)
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
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    _finish(events, state="failed" if error else "succeeded", results=watcher.results, error=error)
    return FAILED if error else SUCCEEDED


def _finish(events: Events, **fields: Any) -> None:
    """The last event. A disk that is full may have room again in a moment; without this event the run counts as lost."""
    deadline = time.monotonic() + FULL_DISK_S
    while True:
        try:
            events.emit("finished", **fields)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def _work(job: Job, watcher: Watcher) -> None:
    url = os.environ.pop("MLRUN_DBPATH", "")  # importing mlrun with it set would connect at once
    api = job.mlrun or (Api(url, session=True) if "://" in url else None)  # its credential is where the client looks
    preload()  # before the project's directory is on the path, whose modules may be called like MLRun's
    settle(job)
    import mlrun

    from . import api as apis
    from . import database as databases
    from . import steps
    from .load import load as load_project
    from .run import run as run_workflow

    mlrun.mlconf.reload()
    mlrun.utils.create_logger(mlrun.mlconf.log_level, mlrun.mlconf.log_formatter, "mlrun", sys.stdout)
    database = databases.RunnerDB(job.kind, watcher, apis.client(api, job.kind, job.folder) if api else None)
    steps.install(watcher, database, api)
    databases.install(database, api.url if api and job.kind != LOAD else "")
    reseed()
    watcher.started()
    (load_project if job.kind == LOAD else run_workflow)(job, database, watcher)


def _log(error: Json, exc: BaseException) -> None:
    """The error in the log too; all of it where no line of the user's is in it."""
    with contextlib.suppress(OSError, ValueError):  # the user's code may have closed it
        if "Traceback" in error["traceback"]:
            sys.stderr.write(error["traceback"])
        else:
            traceback.print_exception(type(exc), exc, exc.__traceback__)
