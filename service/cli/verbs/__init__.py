"""The verbs: `app` is the list of them, the modules beside say what each does.

A verb is a plain function whose docstring is its line in `--help`. What it needs beyond that is imported when it runs, so
that help is quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from service import __version__
from service.cli.verbs.acting import cancel, push, redeliver, retry, run
from service.cli.verbs.keeping import backup, restore
from service.cli.verbs.planning import plan
from service.cli.verbs.setting_up import doctor, migrate, serve, token
from service.cli.verbs.showing import deliveries, drift, logs, runs, schedules, status, syncs
from service.cli.verbs.showing_off import demo
from service.cli.verbs.spelling import spelled_out
from service.cli.verbs.starting import init

app = typer.Typer(
    help="GitOps for MLRun projects: a git push becomes a synced project and a running workflow.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"mlrun-gitops {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Every verb has `--help`."""


# In the order in which `--help` lists them.
for verb in (
    init,
    demo,
    doctor,
    serve,
    migrate,
    backup,
    restore,
    token,
    plan,
    status,
    push,
    run,
    retry,
    cancel,
    redeliver,
    runs,
    logs,
    schedules,
    drift,
    deliveries,
    syncs,
):
    app.command()(spelled_out(verb))

__all__ = ["app"]
