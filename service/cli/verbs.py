"""The verbs. Each says in a line what it does; what it needs beyond that is imported when it runs, so that help is quick."""

from __future__ import annotations

import json
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli import follow as following
from service.cli import lists, screen
from service.cli import status as overview
from service.cli.client import DEFAULT_URL, Client
from service.errors import GitopsError

app = typer.Typer(
    help="GitOps for MLRun projects: a git push becomes a synced project and a running workflow.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Url = Annotated[str, typer.Option("--url", envvar="GITOPS_URL", help="The service.")]
Token = Annotated[
    str | None, typer.Option("--token", envvar="GITOPS_TOKEN", help="A token of the service; better by environment.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the API answers.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many to show.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it to its end; the exit code tells whether that was good.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="Seconds that --wait waits; 0: for ever.")]
Project = Annotated[str | None, typer.Option("--project", help="Only of this project.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or PROJECT[/WORKFLOW] for its newest run.")]

_ID = re.compile(r"[0-9a-z]{26}")


@app.command()
def serve(
    config: Annotated[Path | None, typer.Option("--config", envvar="GITOPS_CONFIG", help="config.yaml.")] = None,
) -> None:
    """Run the service until it is told to stop."""
    from service.errors import SettingsError
    from service.settings import load_settings

    try:
        settings = load_settings(config)
    except SettingsError as error:
        screen.complain(error)
        raise typer.Exit(2) from None
    from service.app import serve as serve_until_stopped

    serve_until_stopped(settings, lambda url: screen.note(f"mlrun-gitops listens on {url}"))


@app.command()
def status(url: Url = DEFAULT_URL, token: Token = None, as_json: AsJson = False) -> None:
    """Show what arrived, what is in force, what goes on."""
    found = overview.fetch(Client(url, token))
    screen.data(found) if as_json else overview.show(found)


@app.command()
def push(
    repository: Annotated[str, typer.Argument(help="A repository of config.yaml.")],
    ref: Annotated[
        str | None, typer.Argument(help="A branch or full ref; without it all that projects follow.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = 0,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Sync a repository now, as if its forge had told of a push."""
    client = Client(url, token)
    made = client.post("repositories", repository, "sync", body={"ref": ref})
    _made(made, f"asked for, as delivery {made['delivery']}", as_json=as_json)
    if wait:
        _exit(following.delivery(client, made["delivery"], _deadline(timeout)))


@app.command()
def run(
    project: Annotated[str, typer.Argument(help="The project.")],
    workflow: Annotated[str, typer.Argument(help="One of its workflows.")],
    argument: Annotated[
        list[str] | None,
        typer.Option("-a", "--argument", metavar="NAME=VALUE", help="An argument; the value is JSON, or else text."),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = 0,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow of the revision in force."""
    client = Client(url, token)
    body = {"workflow": workflow, "arguments": _arguments(argument or [])}
    made = client.post("projects", project, "runs", body=body)
    _made(made, f"queued, as run {made['run']}", as_json=as_json)
    _await_run(client, made["run"], wait=wait, timeout=timeout)


@app.command()
def retry(
    run: RunId,
    wait: Wait = False,
    timeout: Timeout = 0,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Repeat a run that ended, with the same revision and arguments."""
    client = Client(url, token)
    made = client.post("runs", _run_id(client, run), "retry")
    _made(made, f"queued, as run {made['run']}", as_json=as_json)
    _await_run(client, made["run"], wait=wait, timeout=timeout)


@app.command()
def cancel(run: RunId, url: Url = DEFAULT_URL, token: Token = None, as_json: AsJson = False) -> None:
    """End a run that has not ended."""
    client = Client(url, token)
    made = client.post("runs", _run_id(client, run), "cancel")
    _made(made, f"asked run {made['run']} to end", as_json=as_json)


@app.command()
def redeliver(
    delivery: Annotated[str, typer.Argument(help="A delivery's id.")],
    wait: Wait = False,
    timeout: Timeout = 0,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Handle a delivery again, as if its forge had sent it again."""
    client = Client(url, token)
    made = client.post("deliveries", delivery, "redeliver")
    _made(made, f"asked for, as delivery {made['delivery']}", as_json=as_json)
    if wait:
        _exit(following.delivery(client, made["delivery"], _deadline(timeout)))


@app.command()
def runs(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Show this one with all about it.")] = None,
    project: Project = None,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only of this workflow.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only in this state.")] = None,
    limit: Limit = 20,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show runs, newest first."""
    client = Client(url, token)
    if run is not None:
        _show(lists.run, client.get("runs", _run_id(client, run)), as_json=as_json)
    else:
        _show(
            lists.runs,
            client.get("runs", project=project, workflow=workflow, state=state, limit=limit),
            as_json=as_json,
        )


@app.command()
def logs(
    run: RunId,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run has ended.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print what a run printed."""
    client = Client(url, token)
    following.log(client, _run_id(client, run), follow=follow)


@app.command()
def schedules(
    project: Project = None,
    removed: Annotated[bool, typer.Option("--removed", help="Also those that were removed.")] = False,
    limit: Limit = 100,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show the schedules in force and when they are due."""
    page = Client(url, token).get("schedules", project=project, removed=removed or None, limit=limit)
    _show(lists.schedules, page, as_json=as_json)


@app.command()
def deliveries(
    delivery: Annotated[str | None, typer.Argument(metavar="DELIVERY", help="Show this one with all about it.")] = None,
    repository: Annotated[str | None, typer.Option("--repository", help="Only of this repository.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only in this state.")] = None,
    limit: Limit = 20,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show webhooks and what became of them, newest first."""
    client = Client(url, token)
    if delivery is not None:
        _show(lists.delivery, client.get("deliveries", delivery), as_json=as_json)
    else:
        page = client.get("deliveries", repository=repository, state=state, limit=limit)
        _show(lists.deliveries, page, as_json=as_json)


@app.command()
def syncs(
    sync: Annotated[str | None, typer.Argument(metavar="SYNC", help="Show this one with its plan.")] = None,
    project: Project = None,
    state: Annotated[str | None, typer.Option("--state", help="Only in this state.")] = None,
    limit: Limit = 20,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show syncs and why they are as they are, newest first."""
    client = Client(url, token)
    if sync is not None:
        _show(lists.sync, client.get("syncs", sync), as_json=as_json)
    else:
        _show(lists.syncs, client.get("syncs", project=project, state=state, limit=limit), as_json=as_json)


@app.command()
def token(
    webhook: Annotated[
        bool, typer.Option("--webhook", help="A signing secret for a `webhook` handler instead.")
    ] = False,
) -> None:
    """Make a secret: an API token, or a webhook's secret."""
    typer.echo(f"whsec_{b64encode(secrets.token_bytes(32)).decode()}" if webhook else secrets.token_hex(32))
    where = "handlers.NAME.secret_file" if webhook else "auth.tokens[].token_file or webhook_secrets_file"
    typer.echo(f"write it to a file that only the service can read, and name that in {where}", err=True)


def _show(shown: Callable[[Any], None], found: Any, *, as_json: bool) -> None:
    screen.data(found) if as_json else shown(found)


def _made(made: Any, words: str, *, as_json: bool) -> None:
    screen.data(made) if as_json else screen.say(words)


def _await_run(client: Client, run: str, *, wait: bool, timeout: float) -> None:
    if wait:
        _exit(following.run(client, run, _deadline(timeout)))


def _deadline(timeout: float) -> float | None:
    return time.monotonic() + timeout if timeout else None


def _exit(good: bool) -> None:
    if not good:
        raise typer.Exit(1)


def _run_id(client: Client, word: str) -> str:
    """An id as it is; a project's name, with or without a workflow's, stands for the newest run."""
    if _ID.fullmatch(word):
        return word
    project, _, workflow = word.partition("/")
    newest = client.get("runs", project=project, workflow=workflow or None, limit=1)["items"]
    if not newest:
        raise GitopsError(
            f"there is no run {word!r}, nor a project of that name with runs", mend="see `mlrun-gitops runs`"
        )
    return str(newest[0]["id"])


def _arguments(pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is no NAME=VALUE", param_hint="-a")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
