"""`status`: each repository with how its news arrive, each project with what is in force and what goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.cli import screen
from service.cli.client import Client
from service.cli.lists import failure
from service.cli.screen import bad, dim, short_ref, span, state, took, when

Row = Mapping[str, Any]
_FIRES = 3


def fetch(client: Client) -> dict[str, list[Row]]:
    return {name: _all(client, name) for name in ("repositories", "projects")}


def _all(client: Client, noun: str) -> list[Row]:
    items: list[Row] = []
    cursor: str | None = None
    while True:
        page = client.get(noun, limit=500, cursor=cursor)
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def show(found: Mapping[str, list[Row]]) -> None:
    if not found["repositories"]:
        screen.note("no repositories; add one to config.yaml")
    known = {repository["name"] for repository in found["repositories"]}
    for repository in found["repositories"]:
        _repository(repository)
        for project in found["projects"]:
            if project["repository"] == repository["name"]:
                _project(project)
    for project in found["projects"]:
        if project["repository"] not in known:
            screen.say((project["repository"], "bold"), dim("  is no longer in config.yaml"))
            _project(project)


def _repository(row: Row) -> None:
    screen.say((row["name"], "bold"), dim(f"  {row['url']}"))
    lag = f"{row['waiting']} deliveries wait, since {span(row['lag_s'])}" if row["waiting"] else "nothing waits"
    screen.say(f"delivered {when(row['delivered_at'])} · fetched {when(row['fetched_at'])} · {lag}", indent=2)
    if row["error"]:
        screen.say(bad("error "), f"{when(row['error_at'])}: {row['error']}", indent=2)


def _project(row: Row) -> None:
    flags = [name for name in ("suspended", "pinned") if row[name]]
    screen.say(
        (row["name"], "bold"), f"  {short_ref(row['ref'])}", dim(f"  {row['path']}" if row["path"] != "." else ""),
        ("  " + ", ".join(flags) if flags else "", "yellow"), indent=2,
    )  # fmt: skip
    if in_force := row["in_force"]:
        commit = f"{(in_force['commit'] or '')[:8]} {in_force['subject'] or ''}"
        screen.say(dim("in force  "), f"{in_force['revision'][:12]}  {commit}", indent=4, hang=10)
    else:
        screen.say(dim("in force  "), "nothing yet", indent=4, hang=10)
    if sync := row["last_sync"]:
        at = when(sync["ended_at"] or sync["created_at"])
        why = failure(sync) or sync["reason"] or sync["cause"]
        screen.say(dim("last sync "), state(sync["state"]), f" {at}: {why}", indent=4, hang=10)
        if mend := (sync["error"] or {}).get("mend"):
            screen.say(" " * 10, mend, indent=4)
    if row["error"] and not (sync and sync["error"]):
        screen.say(bad("error     "), row["error"], indent=4, hang=10)
    for run in row["open_runs"]:
        since = took(run["started_at"] or run["created_at"], None)
        screen.say(
            dim("run       "), f"{run['id']} {run['workflow']} ", state(run["state"]), f" since {since}", indent=4
        )
    for fire in row["next_fires"][:_FIRES]:
        due = when(fire["due"]) if fire["due"] else "suspended"
        screen.say(dim("next      "), f"{fire['schedule']} runs {fire['workflow']} {due}", indent=4, hang=10)
    if len(row["next_fires"]) > _FIRES:
        screen.say(dim("          "), dim(f"and {len(row['next_fires']) - _FIRES} more schedules"), indent=4, hang=10)
