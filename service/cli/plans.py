"""The plan of a folder: what a push of it would do, compared with nothing or with what a service has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from service.cli import screen
from service.cli.client import Client
from service.domain.plan import Plan, ScheduleSpec, render
from service.domain.projects import Resolved
from service.errors import ApiError, GitopsError

if TYPE_CHECKING:
    from service.reconciler.preview import InForce, Planned

_SIGNS = {"+": "green", "-": "red", "~": "yellow", ">": "cyan", "!": "yellow"}


def in_force_at(client: Client) -> Callable[[str], InForce | None]:
    """What that service has of a project; None where it has none of that name."""
    from service.reconciler.preview import InForce

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
