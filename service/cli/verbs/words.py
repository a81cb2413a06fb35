"""What verbs are given: the options that several share, and what their words mean.

Options that go together are a dataclass: `spelling` makes options of its fields.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import names, screen
from service.cli.client import DEFAULT_URL, Client
from service.errors import GitopsError, SettingsError

if TYPE_CHECKING:
    from service.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print what the API answers.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many to show.")]
Project = Annotated[str | None, typer.Option("--project", help="Only of this project.", autocompletion=names.projects)]
RunId = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's id, or PROJECT[/WORKFLOW] for its newest run.", autocompletion=names.runs
    ),
]

Config = Annotated[Path | None, typer.Option("--config", envvar="GITOPS_CONFIG", help="config.yaml.")]


@dataclass(frozen=True, slots=True)
class Where:
    """The service that a verb speaks to."""

    url: Annotated[str, typer.Option("--url", envvar="GITOPS_URL", help="The service.")] = DEFAULT_URL
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="GITOPS_TOKEN", help="A token of the service; better by environment."),
    ] = None

    def client(self) -> Client:
        return Client(self.url, self.token)


@dataclass(frozen=True, slots=True)
class Patience:
    """Whether a verb that began something sees it to its end."""

    wait: Annotated[
        bool, typer.Option("--wait", help="Follow it to its end; the exit code tells whether that was good.")
    ] = False
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Seconds that --wait waits; 0: for ever.")] = 0

    def deadline(self) -> float | None:
        return time.monotonic() + self.timeout if self.timeout else None


_ID = re.compile(r"[0-9a-z]{26}")


def run_id(client: Client, word: str) -> str:
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


def arguments(pairs: list[str]) -> dict[str, Any]:
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


@contextmanager
def bad_settings() -> Iterator[None]:
    """Settings that are wrong are bad usage."""
    try:
        yield
    except SettingsError as error:
        screen.complain(error)
        raise typer.Exit(2) from None


def settings_of(config: Path | None) -> Settings:
    """The settings of a file and the environment."""
    from service.settings import load_settings

    with bad_settings():
        return load_settings(config)
