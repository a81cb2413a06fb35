"""Images that MLRun builds, each once for all runs of a project that need it. One that failed is built again when a newer run needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from service.domain.image_build import ImageBuild
from service.domain.states import OPEN_BUILDS, BuildState
from service.store import work
from service.store.mlrun_models import image_builds as table
from service.store.sql import Rows

# Work that has an image built; its key is `work_key`.
KIND = "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """`build` is what is in it, `api` which MLRun builds it, `image` its whole name once it is there.

    `log` is the end of what the builder printed and `log_size` how many bytes of it were read; `tries` counts how often MLRun was asked
    for it since `queued_at`; `leftover`: the builder's function may be in MLRun still.
    """

    project: str
    key: str
    build: ImageBuild
    api: str
    queued_at: float
    state: BuildState = BuildState.QUEUED
    detail: str = ""
    image: str | None = None
    log: str = ""
    log_size: int = 0
    tries: int = 0
    begun_at: float | None = None
    ended_at: float | None = None
    leftover: bool = False


_rows = Rows(table, Built, json=["build"])


def work_key(project: str, key: str) -> str:
    return f"{project}/{key}"


def find(connection: Connection, project: str, key: str) -> Built | None:
    return _rows.find(connection, project=project, key=key)


def want(connection: Connection, build: ImageBuild, api: str, *, since: float, now: float) -> Built:
    """The image as it stands, which is being built from now on if it was not: for the first time, for another MLRun, or
    anew where it failed before `since`."""
    work.lock(connection, KIND, work_key(build.project, build.key))
    there = find(connection, build.project, build.key)
    if there is not None and there.api == api and not _is_over(there, since):
        return there
    leftover = there is not None and there.leftover and there.api == api
    fresh = Built(project=build.project, key=build.key, build=build, api=api, queued_at=now, leftover=leftover)
    values = _rows.values(fresh)
    named = {name: values.pop(name) for name in ("project", "key")}
    if there is None:
        _rows.add(connection, fresh)
    else:
        _rows.set(connection, named, **{name: getattr(fresh, name) for name in values})
    work.want(connection, KIND, work_key(build.project, build.key), now=now)
    return fresh


def built(connection: Connection, project: str, api: str) -> frozenset[str]:
    """The keys of those that are there."""
    return frozenset(
        one.key for one in _rows.those(connection, "key", project=project, api=api, state=BuildState.READY)
    )


def record(connection: Connection, one: Built, **values: Any) -> Built | None:
    """How it goes on; None, and nothing changed, when it was begun anew or has another state by now."""
    same = {"project": one.project, "key": one.key, "state": one.state, "queued_at": one.queued_at}
    return _rows.change(connection, same, **values)


def is_open(one: Built) -> bool:
    return one.state in OPEN_BUILDS


def _is_over(one: Built, since: float) -> bool:
    return one.state is BuildState.FAILED and (one.ended_at or 0.0) < since
