"""The verbs that show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from service.cli import follow as following
from service.cli import lists, names, screen
from service.cli import status as overview
from service.cli.client import bearing
from service.cli.verbs.words import AsJson, Limit, Project, RunId, Where, run_id


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between two looks of --watch.")] = 2.0,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show what arrived, what is in force, what goes on."""
    client = where.client()
    if not watch:
        found = overview.fetch(client)
        screen.data(found) if as_json else overview.show(found)
        return
    if as_json:
        raise typer.BadParameter("is for people; ask for --json as often as you need it", param_hint="--watch")
    from service.cli import live

    live.watch(lambda: overview.show(bearing(lambda: overview.fetch(client), screen.note)), every)


def runs(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Show this one with all about it.", autocompletion=names.runs)
    ] = None,
    project: Project = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", help="Only of this workflow.", autocompletion=names.workflows)
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only in this state.", autocompletion=names.run_states)
    ] = None,
    limit: Limit = 20,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show runs, newest first."""
    client = where.client()
    if run is not None:
        _show(lists.run, client.get("runs", run_id(client, run)), as_json=as_json)
    else:
        _show(
            lists.runs,
            client.get("runs", project=project, workflow=workflow, state=state, limit=limit),
            as_json=as_json,
        )


def logs(
    run: RunId,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run has ended.")] = False,
    *,
    where: Where,
) -> None:
    """Print what a run printed."""
    client = where.client()
    following.log(client, run_id(client, run), follow=follow)


def schedules(
    project: Project = None,
    removed: Annotated[bool, typer.Option("--removed", help="Also those that were removed.")] = False,
    limit: Limit = 100,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show the schedules in force and when they are due."""
    page = where.client().get("schedules", project=project, removed=removed or None, limit=limit)
    _show(lists.schedules, page, as_json=as_json)


def deliveries(
    delivery: Annotated[
        str | None,
        typer.Argument(metavar="DELIVERY", help="Show this one with all about it.", autocompletion=names.deliveries),
    ] = None,
    repository: Annotated[
        str | None, typer.Option("--repository", help="Only of this repository.", autocompletion=names.repositories)
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only in this state.", autocompletion=names.delivery_states)
    ] = None,
    limit: Limit = 20,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show webhooks and what became of them, newest first."""
    client = where.client()
    if delivery is not None:
        _show(lists.delivery, client.get("deliveries", delivery), as_json=as_json)
    else:
        page = client.get("deliveries", repository=repository, state=state, limit=limit)
        _show(lists.deliveries, page, as_json=as_json)


def syncs(
    sync: Annotated[
        str | None, typer.Argument(metavar="SYNC", help="Show this one with its plan.", autocompletion=names.syncs)
    ] = None,
    project: Project = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only in this state.", autocompletion=names.sync_states)
    ] = None,
    limit: Limit = 20,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show syncs and why they are as they are, newest first."""
    client = where.client()
    if sync is not None:
        _show(lists.sync, client.get("syncs", sync), as_json=as_json)
    else:
        _show(lists.syncs, client.get("syncs", project=project, state=state, limit=limit), as_json=as_json)


def drift(
    project: Annotated[
        str, typer.Argument(metavar="PROJECT", help="A project of the service.", autocompletion=names.projects)
    ],
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show what in MLRun differs from what Git said when it was saved."""
    _show(lists.drift, where.client().get("projects", project, "drift"), as_json=as_json)


def _show(shown: Callable[[Any], None], found: Any, *, as_json: bool) -> None:
    screen.data(found) if as_json else shown(found)
