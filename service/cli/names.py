"""Names for the shell to complete: what the service has, asked with little patience and without a word when it is away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import typer

from service.cli.client import DEFAULT_URL, Client
from service.domain.states import DeliveryState, RunState, SyncState
from service.errors import GitopsError

# Somebody pressed Tab and waits.
_PATIENCE_S = 1.5
_MOST = 50

Found = Iterator[tuple[str, str]]
Complete = Callable[[typer.Context, str], list[tuple[str, str]]]


def _complete(found: Callable[[Client, typer.Context], Found]) -> Complete:
    """Those that begin with what is typed; each with a remark that shells with room for it show."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        url = ctx.params.get("url") or os.environ.get("GITOPS_URL") or DEFAULT_URL
        token = ctx.params.get("token") or os.environ.get("GITOPS_TOKEN")
        try:
            client = Client(url, token, timeout_s=_PATIENCE_S)
            return [(name, remark) for name, remark in found(client, ctx) if name.startswith(incomplete)]
        except (GitopsError, ValueError, LookupError, TypeError):  # away, or something else that answers there
            return []

    return complete


def _projects(client: Client, _: typer.Context) -> Found:
    for row in client.get("projects", limit=500)["items"]:
        yield row["name"], row["ref"]


def _repositories(client: Client, _: typer.Context) -> Found:
    for row in client.get("repositories", limit=500)["items"]:
        yield row["name"], row["url"].replace(":", "")  # a colon ends the name for zsh


def _workflows(client: Client, ctx: typer.Context) -> Found:
    project = client.get("projects", ctx.params["project"])
    revision = client.get("projects", project["name"], "revisions", project["in_force"]["revision"])
    for name, workflow in revision["resolved"]["workflows"].items():
        yield name, workflow["engine"]


def _runs(client: Client, _: typer.Context) -> Found:
    rows = client.get("runs", limit=_MOST)["items"]
    for row in rows:
        yield row["id"], f"{row['project']} {row['workflow']} {row['state']}"
    for project in dict.fromkeys(row["project"] for row in rows):
        yield project, "its newest run"


def _deliveries(client: Client, _: typer.Context) -> Found:
    for row in client.get("deliveries", limit=_MOST)["items"]:
        yield row["id"], f"{row['repository'] or row['hook']} {row['state']}"


def _syncs(client: Client, _: typer.Context) -> Found:
    for row in client.get("syncs", limit=_MOST)["items"]:
        yield row["id"], f"{row['project']} {row['state']}"


projects, repositories, workflows = _complete(_projects), _complete(_repositories), _complete(_workflows)
runs, deliveries, syncs = _complete(_runs), _complete(_deliveries), _complete(_syncs)


def run_states() -> list[str]:
    return list(RunState)


def delivery_states() -> list[str]:
    return list(DeliveryState)


def sync_states() -> list[str]:
    return list(SyncState)
