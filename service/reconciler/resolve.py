"""One load job from its start to what it resolved to, whoever asks: a sync, or somebody who wants to see a plan."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from service.domain import identity
from service.domain.projects import Resolved, Workflow
from service.errors import LoadFailed
from service.launchers import EndReason, Job, Launcher, Life, Observation

_PAUSE_S = 5.0
# Of the end of its log, with a load that was stopped.
_LOG_BYTES = 4000
_MENDS = {
    EndReason.INCOMPATIBLE: "name a runner.image in .gitops.yaml that has what is missing, or leave it out",
    EndReason.OUT_OF_MEMORY: "make project_setup.py need less, or raise the memory limit of runners",
    EndReason.NOT_STARTED: "mend what it waits for; it is tried again",
}
# What a job says that met a full disk: no fault of the repository's.
_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


@dataclass(frozen=True, slots=True)
class Vanished:
    """The job is gone without its last word: what the launcher knows of that, and the end of what the job printed."""

    why: str
    log: str


def resolve(launcher: Launcher, job: Job, check: Callable[[], None] = lambda: None) -> Resolved | Vanished:
    """Start `job` (or adopt it) and wait for its result.

    `check` is called again and again meanwhile; what it raises comes out. Raises LoadFailed with the user's own traceback in
    `detail`, and for a result that is not that of the job's project. The job's files stay until the caller cleans them.
    """
    launcher.ensure(job)
    result = _follow(launcher, job, check)
    return result if isinstance(result, Vanished) else _resolved(result, job.project)


def git_source(url: str, ref: str) -> str:
    """The address MLRun users know (`git://host/path#refs/heads/main`), without credentials."""
    _, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"git://{authority.rpartition('@')[2]}{slash}{path}#{ref}" if rest else ""


def _follow(launcher: Launcher, job: Job, check: Callable[[], None]) -> dict[str, Any] | Vanished:
    """Wait for the end: the result document, where there is one."""
    position = 0
    while True:
        check()
        for news in launcher.observe({job.id: position}, _PAUSE_S):
            position = news.position
            for event in news.events:
                if event.get("event") == "finished":
                    return _finished(launcher, job.id, event)
            if news.ended == EndReason.TIMED_OUT:
                raise LoadFailed(
                    f"loading took longer than {job.timeout_s:.0f} s and was stopped",
                    mend="make project_setup.py quicker, or raise launcher.load_timeout",
                    detail=launcher.logs(job.id, -_LOG_BYTES).text,
                )
            if news.ended in _MENDS:
                raise _not_loaded(launcher, job, news)
            if news.life in (Life.GONE, Life.UNKNOWN):
                return Vanished(news.detail, launcher.logs(job.id, -_LOG_BYTES).text)


def _not_loaded(launcher: Launcher, job: Job, news: Observation) -> LoadFailed:
    """An end that another start would only repeat; one for want of a place is tried again later."""
    assert news.ended is not None
    failure = LoadFailed(
        f"the project could not be loaded: {news.detail or news.ended}",
        mend=_MENDS[news.ended],
        detail=launcher.logs(job.id, -_LOG_BYTES).text,
    )
    failure.retry = news.ended == EndReason.NOT_STARTED
    return failure


def _finished(launcher: Launcher, job: str, event: dict[str, Any]) -> dict[str, Any]:
    if event.get("state") == "succeeded":
        return launcher.result(job)
    error = event.get("error")
    error = error if isinstance(error, dict) else {}
    what = f"{error.get('type', 'Error')}: {error.get('message', 'no message')}"
    full = any(text in what for text in _FULL)
    failure = LoadFailed(
        what,
        mend="free space where the jobs' folder is" if full else "mend it in the repository and push",
        detail=str(error.get("traceback", "")),
    )
    failure.retry = full
    raise failure


def _resolved(result: dict[str, Any], project: str) -> Resolved:
    try:
        workflows = {w["name"]: msgspec.convert(w, Workflow) for w in result.pop("workflows", [])}
        resolved = msgspec.convert({**result, "workflows": msgspec.to_builtins(workflows)}, Resolved)
        msgspec.json.encode(resolved)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise LoadFailed(
            f"what the project resolves to cannot be kept: {type(error).__name__}: {error}",
            mend="use plain text and numbers in project.yaml and project_setup.py",
        ) from error
    return identity.own(resolved, project)
