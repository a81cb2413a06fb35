"""The verb that says what a push would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli import screen
from service.cli.client import DEFAULT_URL, Client
from service.cli.verbs.words import AsJson, Config, Token, Url, settings_of


def plan(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with project.yaml or .gitops.yaml.")],
    ref: Annotated[
        str | None, typer.Option("--ref", help="The branch or tag that counts as pushed; by default the one here.")
    ] = None,
    against: Annotated[bool, typer.Option("--against", help="Compare with what is in force at the service.")] = False,
    config: Config = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show what a push of a folder would do, without a service."""
    from service.cli import live, plans
    from service.reconciler import preview

    settings = settings_of(config)
    subject = preview.subject(path, ref=ref, settings=settings if config else None)
    known = plans.in_force_at(Client(url, token)) if against else lambda _: None
    with live.busy("looking for the runner environment") as progress:
        planned = list(preview.plans(subject, settings, in_force=known, progress=progress))
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
