"""`init`: from nothing to a config.yaml that starts, and to a forge that knows where to send its webhooks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import screen
from service.cli.verbs.words import AsJson, bad_settings
from service.errors import GitopsError

if TYPE_CHECKING:
    from service.cli.starter import Starter
    from service.settings import Settings


def init(
    url: Annotated[str | None, typer.Argument(metavar="URL", help="The repository, as https:// or ssh://.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What it is called here; by default its own name.")] = None,
    forge: Annotated[
        str | None, typer.Option("--forge", help="What sends webhooks; by default the host tells.")
    ] = None,
    branch: Annotated[
        str | None, typer.Option("--branch", help="The branch that counts; by default the remote's default.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Holds a token that may read it, where it is not public.")
    ] = None,
    ssh_key_file: Annotated[Path | None, typer.Option("--ssh-key-file", help="Holds a key for ssh://.")] = None,
    public_url: Annotated[
        str | None, typer.Option("--public-url", help="Where the forge reaches the service, as https://…")
    ] = None,
    slack_token_file: Annotated[
        Path | None, typer.Option("--slack-token-file", help="Holds a Slack bot token; needs --slack-channel.")
    ] = None,
    slack_channel: Annotated[str | None, typer.Option("--slack-channel", help="Where the bot writes.")] = None,
    slack_url_file: Annotated[
        Path | None, typer.Option("--slack-url-file", help="Holds a Slack incoming webhook's address instead.")
    ] = None,
    config: Annotated[Path, typer.Option("--config", envvar="GITOPS_CONFIG", help="What to write.")] = Path(
        "config.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Write over a config that is there.")] = False,
    show_secret: Annotated[
        bool, typer.Option("--show-secret", help="Print the webhook's secret also where nobody may be looking.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a config.yaml and say what to tell the forge."""
    from service.cli import starter
    from service.domain.project_name import slug

    if (config.exists() or config.is_symlink()) and not force:
        raise GitopsError(f"{config} is there already", mend="Name another by --config, or write over it by --force")
    if url is None:
        url, name, token_file, public_url = _asked(name, token_file, public_url)
    name = name or starter.name_of(url)
    secret_file = config.with_name(f"{slug(name)}.webhook-secret")
    wanted = starter.Starter(
        url=url,
        name=name,
        forge=forge or _forge(url),
        branch=branch,
        secret_file=_as_written(secret_file, config),
        token_file=token_file and _as_written(token_file, config),
        ssh_key_file=ssh_key_file and _as_written(ssh_key_file, config),
        public_url=public_url,
        slack=_slack(slack_token_file, slack_channel, slack_url_file, config),
    )
    with bad_settings():
        made, settings = starter.write(wanted, config, secret_file)
    shown = show_secret or (sys.stdout.isatty() and not as_json)
    facts = _facts(settings, wanted, secret_file, config, show=shown)
    if as_json:
        screen.data(facts)
    else:
        _tell(facts, settings, made=made)


def _asked(
    name: str | None, token_file: Path | None, public_url: str | None
) -> tuple[str, str | None, Path | None, str | None]:
    """What the options do not say, from the person at the terminal."""
    from service.cli import starter

    if not sys.stdin.isatty():
        raise typer.BadParameter("give the repository's address", param_hint="URL")
    url: str = typer.prompt("The repository's address (https:// or ssh://)", err=True)
    name = name or typer.prompt("What to call it here", default=starter.name_of(url), err=True)
    if token_file is None and not url.startswith("ssh:"):
        said = typer.prompt("A file with a token that may read it (empty: it is public)", default="", err=True)
        token_file = Path(said) if said else None
    if public_url is None:
        asked = "Where the forge reaches this service, as https://… (empty: not yet known)"
        public_url = typer.prompt(asked, default="", show_default=False, err=True) or None
    return url, name, token_file, public_url


def _forge(url: str) -> str:
    from service.cli.forms import FORMS
    from service.cli.starter import guess_forge

    if not url:
        raise GitopsError("there is no address of a repository", mend="Write one, as https://github.com/acme/fraud.git")
    known = ", ".join(FORMS)
    found = guess_forge(url)
    if found in FORMS:
        return found
    if found:
        raise GitopsError(
            f"{url} looks like {found}, whose webhooks this version does not understand",
            mend="Add --forge generic: it is polled, and a CI job of yours may sign and send pushes",
        )
    if sys.stdin.isatty():
        said: str = typer.prompt(f"What sends its webhooks ({known})", default="github", err=True)
        return said
    raise GitopsError(f"{url} does not tell which forge it is", mend=f"Add --forge with one of {known}")


def _slack(token_file: Path | None, channel: str | None, url_file: Path | None, config: Path) -> dict[str, str] | None:
    if url_file is not None and (token_file is not None or channel is not None):
        raise typer.BadParameter("stands for itself; leave the other two out", param_hint="--slack-url-file")
    if (token_file is None) != (channel is None):
        raise typer.BadParameter("go together", param_hint="--slack-token-file and --slack-channel")
    if url_file is not None:
        return {"url_file": str(_as_written(url_file, config))}
    return {"token_file": str(_as_written(token_file, config)), "channel": str(channel)} if token_file else None


def _as_written(file: Path, config: Path) -> Path:
    """Beside a config in the folder of work as it is; elsewhere whole, since the service may start anywhere."""
    return file if config.parent == Path() else file.absolute()


def _facts(settings: Settings, wanted: Starter, secret_file: Path, config: Path, *, show: bool) -> dict[str, Any]:
    from service.cli.forms import FORMS, address_of, page_of

    form = FORMS[wanted.forge]
    address, whole = address_of(settings, wanted.name)
    return {
        "config": str(config),
        "repository": wanted.name,
        "webhook": {
            "page": page_of(form, wanted.url),
            "url": address,
            "complete": whole,
            "content_type": form.content_type,
            "secret_file": str(secret_file),
            "secret": secret_file.read_text(encoding="utf-8").strip() if show else None,
            "events": form.events,
        },
        "next": [f"mlrun-gitops {verb} --config {config}" for verb in ("doctor", "serve")],
    }


def _tell(facts: dict[str, Any], settings: Settings, *, made: bool) -> None:
    from service.cli.forms import FORMS

    hook = facts["webhook"]
    form = FORMS[settings.hooks_by_name[facts["repository"]].forge]
    secret = hook["secret_file"] if made else f"the secret in {hook['secret_file']} was there and stays"
    screen.say(f"wrote {facts['config']}", f" and {secret}" if made else f"; {secret}")
    screen.say("")
    screen.say((form.forge, "bold"), f": {hook['page']}")
    secret = hook["secret"] or f"what `cat {hook['secret_file']}` prints"
    for field, value in (
        (form.address, hook["url"]),
        ("Content type", hook["content_type"]),
        (form.secret, secret),
        ("Events", hook["events"]),
    ):
        screen.say(screen.dim(f"{field:<14}"), value, indent=2, hang=14)
    screen.say("")
    if not hook["complete"]:
        server = settings.server
        screen.say(
            f"YOUR-ADDRESS is what passes /webhooks/ on to {server.host}:{server.port}; put it into server.public_url.",
        )
        screen.say("Until then, and if a webhook gets lost, the repository is looked at every 3 minutes.")
        screen.say("")
    screen.say("next:")
    for command in facts["next"]:
        screen.say((command, "bold"), indent=2)
