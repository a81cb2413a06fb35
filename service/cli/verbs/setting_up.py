"""The verbs of an operator: they set a service up and run it, and need none."""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import Annotated

import typer

from service.cli import screen
from service.cli.verbs.words import Config, settings_of


def serve(config: Config = None) -> None:
    """Run the service until it is told to stop."""
    settings = settings_of(config)
    from service.app import serve as serve_until_stopped

    serve_until_stopped(settings, lambda url: screen.note(f"mlrun-gitops listens on {url}"))


def token(
    webhook: Annotated[
        bool, typer.Option("--webhook", help="A signing secret for a `webhook` handler instead.")
    ] = False,
) -> None:
    """Make a secret: an API token, or a webhook's secret."""
    typer.echo(f"whsec_{b64encode(secrets.token_bytes(32)).decode()}" if webhook else secrets.token_hex(32))
    where = "handlers.NAME.secret_file" if webhook else "auth.tokens[].token_file or webhook_secrets_file"
    typer.echo(f"write it to a file that only the service can read, and name that in {where}", err=True)
