"""What went wrong, told to the one who wrote the project: their frames, their file names, the message."""

from __future__ import annotations

import linecache
import os
import traceback
from typing import Optional

from .job import RUN, Job
from .plain import Json, NotPlainError


class ProjectError(Exception):
    """The project cannot be loaded or run as it is. `mend` says what to do about it."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what}. {mend}" if mend else what)


class NoApiError(Exception):
    """The project asked MLRun's API for something that cannot be answered without one."""

    def __init__(self, call: str, subject: str, job: str) -> None:
        asked = f"{call}({subject!r})" if subject else f"{call}()"
        when = "while the project is loaded" if job == "load" else "in this run"
        super().__init__(f"{asked} needs an MLRun API, and there is none here: it cannot be answered {when}")


class WriteError(Exception):
    """The project's code would change something in MLRun while it is only loaded."""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(
            f"{method} {path} would change something in MLRun: while the project is loaded, it is only read"
        )


class ForkedError(Exception):
    """A child that the user's code forked came back to the runner; only the parent goes on."""


class WorkflowFailedError(Exception):
    """MLRun said that the workflow failed; `told` describes what failed in it."""

    def __init__(self, told: Json) -> None:
        super().__init__(told["message"])
        self.told = told


class CheckFailedError(Exception):
    """The code of a workflow could not be checked; the cause is what it raised."""

    def __init__(self, workflow: str) -> None:
        super().__init__(workflow)
        self.workflow = workflow


# Errors of ours: what they say is all there is to know.
_OURS = (ProjectError, NoApiError, WriteError, NotPlainError, ForkedError)
# A chain of causes longer than this repeats itself.
_CHAIN = 10
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
_KUBEFLOW_ONLY = (
    "Conditions, loops and container components of kfp.dsl exist only inside of Kubeflow; "
    "a workflow that runs here uses Python's `if` and `for`"
)


def describe(exc: BaseException, job: Job) -> Json:
    """`exc` as {type, message, traceback}; the frames are those of files in the job's source."""
    if isinstance(exc, WorkflowFailedError):
        return exc.told
    if isinstance(exc, CheckFailedError) and exc.__cause__ is not None:
        told = describe(exc.__cause__, job)
        message = told["message"]
        if f"workflow {exc.workflow}" not in message:
            message = f"workflow {exc.workflow}: {message}"
        return dict(told, message=message, workflow=exc.workflow)
    for refused, _ in _chain(exc):
        if isinstance(refused, NoApiError) and refused is not exc:  # MLRun went on and stumbled over what followed
            return describe(refused.with_traceback(exc.__traceback__), job)
    message = _message(exc)
    if job.kind == RUN and _raised_by_kubeflow(exc):
        message = f"{message}. {_KUBEFLOW_ONLY}"
    return {"type": _type(exc), "message": message, "traceback": trace(exc, job)}


def trace(exc: BaseException, job: Job) -> str:
    """The traceback as Python prints it, without any frame that is not the user's and with relative file names."""
    told = ""
    for one, joint in _chain(exc):
        frames = _frames(one, job)
        if frames or one is exc:
            head = "Traceback (most recent call last):\n" if frames else ""
            told = f"{head}{''.join(frames)}{_last(one)}{joint if told else ''}{told}"
    return told.replace(os.path.join(job.source, ""), "").replace('File "./', 'File "')


def _raised_by_kubeflow(exc: BaseException) -> bool:
    """Whether it came through kfp's own code, whose constructs look for a pipeline that is being compiled."""
    return any("/site-packages/kfp/" in frame.filename for frame in traceback.extract_tb(exc.__traceback__))


def _chain(exc: BaseException) -> list[tuple[BaseException, str]]:
    """`exc` and what led to it, newest first, each with the words that stand before its successor."""
    chain: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    joint = ""
    one: Optional[BaseException] = exc
    while one is not None and id(one) not in seen and len(chain) < _CHAIN:
        seen.add(id(one))
        chain.append((one, joint))
        if one.__cause__ is not None:
            one, joint = one.__cause__, _CAUSE
        else:
            one, joint = (None if one.__suppress_context__ else one.__context__), _CONTEXT
    return chain


def _frames(exc: BaseException, job: Job) -> list[str]:
    frames = []
    linecache.checkcache()
    for frame in traceback.extract_tb(exc.__traceback__):
        path = os.path.realpath(os.path.join(job.directory, frame.filename))
        inside = path.startswith(os.path.join(job.source, "")) and not frame.filename.startswith("<")
        if inside and "site-packages" not in path:
            line = linecache.getline(path, frame.lineno or 0)
            name = os.path.relpath(path, job.source)
            frames.append(traceback.FrameSummary(name, frame.lineno, frame.name, lookup_line=False, line=line))
    return traceback.StackSummary.from_list(frames).format()


def _last(exc: BaseException) -> str:
    if isinstance(exc, (*_OURS, SystemExit)):
        return f"{_type(exc)}: {_message(exc)}\n"
    return "".join(traceback.format_exception_only(type(exc), exc))


def _type(exc: BaseException) -> str:
    module = type(exc).__module__
    return (
        type(exc).__name__ if isinstance(exc, _OURS) or module == "builtins" else f"{module}.{type(exc).__qualname__}"
    )


def _message(exc: BaseException) -> str:
    if isinstance(exc, SystemExit):
        return f"the code called sys.exit({'' if exc.code is None else repr(exc.code)})"
    try:
        return str(exc) or type(exc).__name__
    except Exception:  # an exception of the user's whose __str__ raises
        return type(exc).__name__
