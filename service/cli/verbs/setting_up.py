"""The verbs of an operator: they set a service up and run it, and need none."""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import Annotated

import typer

from service.cli import screen
from service.cli.verbs.words import AsJson, Config, bad_settings, settings_of


def serve(config: Config = None) -> None:
    """Run the service until it is told to stop."""
    settings = settings_of(config)
    from service.app import serve as serve_until_stopped

    serve_until_stopped(settings, lambda url: screen.note(f"mlrun-gitops listens on {url}"))


def migrate(config: Config = None, as_json: AsJson = False) -> None:
    """Bring the store to this version's structure, without serving."""
    settings = settings_of(config)
    from service.store import look_at_store, open_store

    with bad_settings():
        before = look_at_store(settings)
    open_store(settings).close()
    after = look_at_store(settings)
    if as_json:
        screen.data({"store": after.where, "from": before.migration, "to": after.migration})
    elif before.migration == after.migration:
        screen.say(f"{after.where}: {after.migration}, nothing to do")
    else:
        screen.say(f"{after.where}: {before.migration or 'empty'} → {after.migration}")


def doctor(
    config: Config = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Install the runner environment; close secrets' files to others.")
    ] = False,
    send: Annotated[bool, typer.Option("--send", help="Send a test message through each handler.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check what the service needs, and say how to mend it."""
    from service.cli import checkup

    findings = checkup.run(config, fix=fix, send=send, quiet=as_json)
    if as_json:
        screen.data(checkup.data(findings))
    if checkup.is_bad(findings):
        raise typer.Exit(1)


def token(
    webhook: Annotated[
        bool, typer.Option("--webhook", help="A signing secret for a `webhook` handler instead.")
    ] = False,
) -> None:
    """Make a secret: an API token, or a webhook's secret."""
    typer.echo(f"whsec_{b64encode(secrets.token_bytes(32)).decode()}" if webhook else secrets.token_hex(32))
    where = "handlers.NAME.secret_file" if webhook else "auth.tokens[].token_file or webhook_secrets_file"
    typer.echo(f"write it to a file that only the service can read, and name that in {where}", err=True)
