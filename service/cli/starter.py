"""The starter config.yaml: the few lines somebody needs for a first repository, each with what it means.

What a line means is taken from the settings' own descriptions, and the text is loaded as `serve` would before it is
kept, so a starter that does not start is never written.
"""

from __future__ import annotations

import os
import re
import secrets
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml
from pydantic import BaseModel

from service.domain.project_name import slug
from service.errors import GitopsError, SettingsError
from service.notifier import make_handlers
from service.receiver import FORGES, Hooks
from service.settings import Problem, Repository, Server, Settings, load_settings
from service.settings.problems import settings_error

_WIDTH = 100
# Events that a team wants to hear of; the console hears of all.
_TOLD = ["run.*", "sync.failed", "schedule.missed"]
_HOSTS = (
    ("github", "github"),
    ("gitlab", "gitlab"),
    ("codeberg.org", "forgejo"),
    ("forgejo", "forgejo"),
    ("gitea", "gitea"),
    ("gogs", "gogs"),
    ("bitbucket.org", "bitbucket"),
    ("bitbucket", "bitbucket-dc"),
    ("dev.azure.com", "azure-devops"),
    ("visualstudio.com", "azure-devops"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What was asked for. Files are paths as they stand in the config."""

    url: str
    name: str
    forge: str
    branch: str | None = None
    secret_file: Path
    token_file: Path | None = None
    ssh_key_file: Path | None = None
    public_url: str | None = None
    slack: dict[str, str] | None = None


def guess_forge(url: str) -> str | None:
    """The forge that a host's name tells of."""
    host = re.sub(r"^\w+://|^[^@/]*@", "", url).rpartition("@")[2]
    host = re.split(r"[:/]", host)[0].lower()
    return next((forge for part, forge in _HOSTS if part in host), None)


def name_of(url: str) -> str:
    """`https://github.com/acme/Fraud.git` → `fraud`."""
    return slug(re.split(r"[/:]", url.rstrip("/").removesuffix(".git"))[-1])


def text(starter: Starter) -> str:
    """config.yaml."""
    return "\n".join(_lines(starter)) + "\n"


def _lines(starter: Starter) -> Iterator[str]:
    yield "# mlrun-gitops: made by `mlrun-gitops init`; all settings: docs/reference/settings.md"
    yield from _said(Settings, "data_dir")
    yield "# data_dir: ./data"
    yield from _said(Server, "public_url")
    if starter.public_url is None:
        yield "# server: {public_url: https://gitops.example.com}"
    else:
        yield f"server: {{public_url: {_scalar(starter.public_url)}}}"
    yield from _said(Settings, "repositories")
    yield "repositories:"
    yield f"  - name: {_scalar(starter.name)}"
    yield f"    url: {_scalar(starter.url)}"
    yield f"    forge: {_scalar(starter.forge)}"
    if starter.branch:
        yield f"    branch: {_scalar(starter.branch)}"
    yield from _said(Repository, "webhook_secrets", indent=4)
    yield f"    webhook_secrets_file: {_scalar(str(starter.secret_file))}"
    yield from _said(Repository, "credentials", indent=4)
    key, file = _credentials(starter)
    yield f"    {'' if file else '# '}credentials: {{{key}: {_scalar(str(file or './git-token'))}}}"
    if starter.slack:
        yield from _said(Settings, "handlers")
        options = ", ".join(f"{key}: {_scalar(value, quoted=key == 'channel')}" for key, value in starter.slack.items())
        yield f"handlers: {{team: {{kind: slack, {options}}}}}"
        yield from _said(Settings, "notify")
        yield f"notify: [{{to: console}}, {{to: team, on: [{', '.join(map(_scalar, _TOLD))}]}}]"


def _credentials(starter: Starter) -> tuple[str, Path | None]:
    if starter.ssh_key_file or starter.url.startswith("ssh:"):
        return "ssh_key_file", starter.ssh_key_file
    return "token_file", starter.token_file


def _said(model: type[BaseModel], key: str, indent: int = 0) -> Iterator[str]:
    """A key's description, as a remark."""
    said = (model.model_fields[key].description or "").replace("`", "")
    yield from textwrap.wrap(said, _WIDTH, initial_indent=" " * indent + "# ", subsequent_indent=" " * indent + "# ")


def _scalar(value: str, *, quoted: bool = False) -> str:
    """Text as YAML takes it for text, inside braces too."""
    style = '"' if quoted or re.search(r"[,\[\]{}]", value) else None
    said: str = yaml.safe_dump(value, default_style=style, width=10_000, allow_unicode=True)
    return said.removesuffix("\n").removesuffix("\n...")


def write(starter: Starter, config: Path, secret_file: Path) -> tuple[bool, Settings]:
    """Put config and secret in their places, once they load as `serve` would load them.

    A secret that is there stays, since a forge may have it already; whether it is new comes back. Raises SettingsError,
    GitopsError; then nothing is left behind.
    """
    fresh = config.with_name(f".{config.name}.{os.getpid()}.tmp")
    made = False
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        made = _make_secret(secret_file)
        fresh.write_text(text(starter), encoding="utf-8")
        settings = _checked(fresh, config)
        fresh.replace(config)
    except BaseException as error:
        with suppress(OSError):  # where it could not even be begun
            fresh.unlink()
        if made:
            secret_file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            what = f"{config} cannot be written: {error.strerror}"
            raise GitopsError(what, mend="Choose another place by --config") from error
        raise
    return made, settings


def _make_secret(path: Path) -> bool:
    """Write a new secret that only its owner can read, unless there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    return True


def _checked(fresh: Path, path: Path) -> Settings:
    try:
        settings = load_settings(fresh, environ={})
    except SettingsError as error:
        if not error.problems:
            raise
        raise settings_error(f"{path} is not written", cast("Sequence[Problem]", error.problems)) from None
    make_handlers(settings.handlers)
    Hooks(settings, FORGES)
    return settings
