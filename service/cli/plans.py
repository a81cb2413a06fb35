"""The plan of a folder or of a project: what a push would do, compared with nothing or with what a service has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from service.cli import follow, live, screen
from service.cli.client import Client, bearing
from service.domain.plan import Plan, ScheduleSpec, render
from service.domain.projects import Resolved
from service.domain.states import OPEN_PREVIEWS, PreviewState
from service.errors import ApiError, GitopsError, UnreachableError

if TYPE_CHECKING:
    from service.reconciler.plan_folder import InForce, Planned

_SIGNS = {"+": "green", "-": "red", "~": "yellow", ">": "cyan", "!": "yellow"}


def in_force_at(client: Client) -> Callable[[str], InForce | None]:
    """What that service has of a project; None where it has none of that name."""
    from service.reconciler.plan_folder import InForce

    def ask(name: str) -> InForce | None:
        try:
            project = client.get("projects", name)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        repository = client.get("repositories", project["repository"])
        revision = project["in_force"] and client.get("projects", name, "revisions", project["in_force"]["revision"])
        schedules = client.get("schedules", project=name, limit=500)["items"]
        fields = ScheduleSpec.__dataclass_fields__
        return InForce(
            url=repository["url"],
            resolved=msgspec.convert(revision["resolved"], Resolved) if revision else None,
            schedules=tuple(msgspec.convert({k: s[k] for k in fields}, ScheduleSpec) for s in schedules),
        )

    return ask


def at_service(client: Client, project: str, ref: str | None, tell: live.Tell) -> Mapping[str, Any]:
    """Have the service plan a push to one of its projects, and wait for it."""
    made = client.post("projects", project, "plan", body={"ref": ref})
    for _ in follow.looks():
        row: Mapping[str, Any] = bearing(lambda: client.get("projects", project, "plans", made["plan"]), screen.note)
        if row["state"] not in OPEN_PREVIEWS:
            return row
        queued = row["state"] == PreviewState.QUEUED
        tell(f"{project} waits for others to be planned" if queued else f"fetching and loading {project}")
    raise AssertionError("looks never end")


@contextmanager
def or_no_folder(word: str | None) -> Iterator[None]:
    """Where a service can't help with `word`, say also that it is no folder; it may have been meant as one."""
    try:
        yield
    except ApiError as error:
        away = isinstance(error, UnreachableError)
        if word is None or not (away or error.status == HTTPStatus.NOT_FOUND):
            raise
        said = type(error)(f"there is no folder {word!r} here, and {error.what}", mend=error.mend)
        said.mend = said.mend or "see `mlrun-gitops status` for the projects"
        raise said from error


def error_of(row: Mapping[str, Any]) -> GitopsError | None:
    """Why the service has no plan."""
    failed = row["error"]
    return failed and GitopsError(failed["what"], mend=failed["mend"], detail=failed["detail"])


def nothing(row: Mapping[str, Any]) -> str:
    return f"{row['project']}: {screen.short_ref(row['ref'])} at {row['commit'][:12]}: nothing to do: {row['reason']}"


def data_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """As `data`, of a project at a service."""
    failed = row["error"]
    note = row["reason"] if row["plan"] else nothing(row) if failed is None else ""
    return {
        "plans": [row["plan"]] if row["plan"] else [],
        "failures": [{"project": row["project"], "path": None, **failed}] if failed else [],
        "notes": [note] if note else [],
    }


def show(plan: Plan | Mapping[str, Any], *, indent: int = 0) -> None:
    """A plan's lines, as everywhere."""
    for line in render(plan if isinstance(plan, Plan) else msgspec.convert(plan, Plan)):
        inner = len(line) - len(line.lstrip())
        screen.say((line.strip(), _SIGNS.get(line.strip()[0], "")), indent=indent + inner, hang=4)


def data(planned: Iterable[Planned], notes: Iterable[str]) -> dict[str, Any]:
    """The same for programs: the very objects that a sync keeps, and why others are missing."""
    found = list(planned)
    return {
        "plans": [msgspec.to_builtins(one.plan) for one in found if one.plan],
        "failures": [
            {"project": one.project, "path": one.path, **failure(one.error)} for one in found if one.error is not None
        ],
        "notes": list(notes),
    }


def failure(error: GitopsError) -> dict[str, str]:
    return {"code": error.code, "what": error.what, "mend": error.mend, "detail": error.detail}
