"""The verbs that make something happen."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli import follow, names, screen
from service.cli.client import Client
from service.cli.verbs.words import AsJson, Patience, RunId, Where, arguments, run_id


def push(
    repository: Annotated[str, typer.Argument(help="A repository of config.yaml.", autocompletion=names.repositories)],
    ref: Annotated[
        str | None, typer.Argument(help="A branch or full ref; without it all that projects follow.")
    ] = None,
    *,
    patience: Patience,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Sync a repository now, as if its forge had told of a push."""
    client = where.client()
    made = client.post("repositories", repository, "sync", body={"ref": ref})
    _delivered(client, made, patience, as_json=as_json)


def run(
    project: Annotated[str, typer.Argument(help="The project.", autocompletion=names.projects)],
    workflow: Annotated[str, typer.Argument(help="One of its workflows.", autocompletion=names.workflows)],
    argument: Annotated[
        list[str] | None,
        typer.Option("-a", "--argument", metavar="NAME=VALUE", help="An argument; the value is JSON, or else text."),
    ] = None,
    *,
    patience: Patience,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Run a workflow of the revision in force."""
    client = where.client()
    body = {"workflow": workflow, "arguments": arguments(argument or [])}
    made = client.post("projects", project, "runs", body=body)
    _queued(client, made, patience, as_json=as_json)


def retry(
    run: RunId,
    *,
    patience: Patience,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Repeat a run that ended, with the same revision and arguments."""
    client = where.client()
    made = client.post("runs", run_id(client, run), "retry")
    _queued(client, made, patience, as_json=as_json)


def cancel(run: RunId, *, where: Where, as_json: AsJson = False) -> None:
    """End a run that has not ended."""
    client = where.client()
    made = client.post("runs", run_id(client, run), "cancel")
    _made(made, f"asked run {made['run']} to end", as_json=as_json)


def redeliver(
    delivery: Annotated[str, typer.Argument(help="A delivery's id.", autocompletion=names.deliveries)],
    *,
    patience: Patience,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Handle a delivery again, as if its forge had sent it again."""
    client = where.client()
    made = client.post("deliveries", delivery, "redeliver")
    _delivered(client, made, patience, as_json=as_json)


def _delivered(client: Client, made: Any, patience: Patience, *, as_json: bool) -> None:
    _made(made, f"asked for, as delivery {made['delivery']}", as_json=as_json)
    if patience.wait:
        _exit(follow.delivery(client, made["delivery"], patience.deadline()))


def _queued(client: Client, made: Any, patience: Patience, *, as_json: bool) -> None:
    _made(made, f"queued, as run {made['run']}", as_json=as_json)
    if patience.wait:
        _exit(follow.run(client, made["run"], patience.deadline()))


def _made(made: Any, words: str, *, as_json: bool) -> None:
    screen.data(made) if as_json else screen.say(words)


def _exit(good: bool) -> None:
    if not good:
        raise typer.Exit(1)
