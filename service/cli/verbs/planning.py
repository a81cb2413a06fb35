"""The verb that says what a push would do."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli import names, screen
from service.cli.client import Client
from service.cli.verbs.words import AsJson, Config, Where, settings_of


def plan(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATH|PROJECT",
            help="A folder with project.yaml or .gitops.yaml; a word that is no folder here is a project of the service.",
            autocompletion=names.projects,
        ),
    ],
    ref: Annotated[
        str | None,
        typer.Option(
            "--ref",
            help="The branch or tag that counts as pushed, of a project also a commit; by default the one here, or the "
            "project's own.",
        ),
    ] = None,
    project: Annotated[
        bool, typer.Option("--project", help="It is a project, although there is a folder of that name.")
    ] = False,
    against: Annotated[
        bool, typer.Option("--against", help="Compare a folder with what is in force at the service.")
    ] = False,
    config: Config = None,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show what a push of a folder or to a project would do."""
    if project or not (_says_path(what) or os.path.exists(what)):  # noqa: PTH110 - Path's raises for what is too long
        if against:
            raise typer.BadParameter("is for a folder; a project is always compared", param_hint="--against")
        _of_project(where.client(), what, ref=ref, sure=project, as_json=as_json)
    else:
        _of_folder(Path(what), ref=ref, config=config, client=where.client() if against else None, as_json=as_json)


def _says_path(word: str) -> bool:
    """No project is named like that."""
    return "/" in word or word in (".", "..", "~")


def _of_folder(path: Path, *, ref: str | None, config: Path | None, client: Client | None, as_json: bool) -> None:
    from service.cli import live, plans
    from service.reconciler import plan_folder

    for number in (signal.SIGTERM, signal.SIGHUP):  # what runs is ended and removed, as after Ctrl-C
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    settings = settings_of(config)
    subject = plan_folder.subject(path, ref=ref, settings=settings if config else None)
    known = plans.in_force_at(client) if client else lambda _: None
    with live.busy("looking for the runner environment") as progress:
        planned = list(plan_folder.plans(subject, settings, in_force=known, progress=progress))
    if as_json:
        screen.data(plans.data(planned, subject.notes))
    else:
        for one in planned:
            if one.plan is not None:
                plans.show(one.plan)
        for note in subject.notes:
            screen.note(f"note: {note}")
    for one in planned:
        if one.error is not None and not as_json:
            screen.complain(one.error, about=one.project)
    if any(one.error is not None for one in planned):
        raise typer.Exit(1)


def _of_project(client: Client, name: str, *, ref: str | None, sure: bool, as_json: bool) -> None:
    """`sure`: it was said to be a project; else it may have been meant as a folder."""
    from service.cli import live, plans

    with live.busy(f"planning {name}", aloud=False) as tell, plans.or_no_folder(None if sure else name):
        row = plans.at_service(client, name, ref, tell)
    error = plans.error_of(row)
    if as_json:
        screen.data(plans.data_of(row))
    elif error is not None:
        screen.complain(error, about=name)
    elif row["plan"]:
        plans.show(row["plan"])
        if row["reason"]:
            screen.note(f"note: {row['reason']}")
    else:
        screen.say(plans.nothing(row))
    if error is not None:
        raise typer.Exit(1)
