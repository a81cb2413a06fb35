"""One job from claim to last event: what a cold start and a warm child both do, in the same order."""

import atexit
import os
import random
import sys
import tempfile
import time

from . import claim
from .errors import describe
from .events import Events
from .job import LOAD

SUCCEEDED, FAILED = 0, 1


def execute(job, warm):
    """Run `job`; the exit code. Nothing of MLRun or of the user is imported before the job is ours."""
    if not claim.claim(job.folder):
        return SUCCEEDED
    events = Events(job.folder)
    events.emit(
        "claimed",
        pid=os.getpid(),
        python=".".join(map(str, sys.version_info[:3])),
        mlrun=version("mlrun"),
        kfp=version("kfp"),
        warm=warm,
    )
    results, error = {}, None
    try:
        results = _work(job, events)
    except BaseException as exc:  # whatever the user's code does, it is told
        error = _error(exc, job)
    if not events.ours:
        return FAILED  # a child that the user's code forked and that came all the way back
    sys.stdout.flush()
    events.emit("finished", state="failed" if error else "succeeded", results=results, error=error)
    return FAILED if error else SUCCEEDED


def leave(code):
    """End this process now. Threads that the user's code left running end with it; exit handlers are run."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)


def _work(job, events):
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
    watcher = steps.Watcher(events, job.source)
    api = mlrun.db.httpdb.HTTPRunDB(url) if "://" in url else None
    database = databases.RunnerDB(job.kind, watcher, api)
    steps.install(watcher)
    databases.install(database, url if job.kind != LOAD else "")
    _reseed()
    events.emit("started")
    if job.kind == LOAD:
        load_project(job, database, watcher)
        return {}
    return run_workflow(job, database, watcher)


def preload():
    """Import what every job needs and none of the user's; a warm parent does it once for all."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that MLRun brings, about Python's version
        import kfp.compiler
        import mlrun
        import mlrun.launcher.factory
        import mlrun.launcher.local
    from . import check, database, load, project_file, resolved, run, steps

    return mlrun, kfp, check, database, load, project_file, resolved, run, steps


def settle(job):
    """The process as `python -m` would have it in the project's directory."""
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
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _reseed():
    """Random numbers of its own for every job; a forked child would repeat its parent's."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _error(exc, job):
    error = getattr(exc, "error", None)
    if isinstance(error, dict) and "traceback" in error:
        return error
    told = describe(exc, job.source)
    workflow = getattr(exc, "workflow", None)
    if workflow:
        told["message"] = "workflow {}: {}".format(workflow, told["message"])
        told["workflow"] = workflow
    if "Default pipeline not defined" in told["message"]:
        told["message"] += (
            ". Conditions, loops and container components of kfp.dsl only exist inside of Kubeflow; "
            "use Python's own `if` and `for` in a workflow that runs here"
        )
    return told


def version(package):
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
