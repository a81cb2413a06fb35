"""Repositories and hooks: what has an address under /webhooks, and how it is fetched."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from service.domain.hosts import is_loopback
from service.domain.refs import HEADS, check_ref
from service.errors import RefRejected
from service.settings.problems import at, wrong
from service.settings.section import Duration, Name, Secrets, Section, Words

Forge = Literal["github", "gitlab", "gitea", "forgejo", "gogs", "bitbucket", "bitbucket-dc", "azure-devops", "generic"]


class Credentials(Section):
    """How a repository is fetched."""

    username: str | None = Field(
        default=None, description="The user name that goes with `token`; most forges take any."
    )
    token: SecretStr | None = Field(default=None, description="A token (or password) for https://.")
    ssh_key: SecretStr | None = Field(default=None, description="A private key for ssh://.")


class _Hooked(Section):
    """What has an address of its own under /webhooks."""

    name: Name = Field(description="Its name: in webhook addresses, in the API and in notifications.")
    forge: Forge = Field(default="github", description="What sends the webhooks.")
    webhook_secrets: Secrets = Field(
        default=(),
        description="The secrets that a webhook may be signed with, several while rotating; or the word `insecure`, the "
        "only way to accept unsigned ones. `webhook_secrets_file` holds one a line.",
    )

    @model_validator(mode="before")
    @classmethod
    def _insecure(cls, data: Any) -> Any:
        """`insecure: true` says the same as `webhook_secrets: insecure`."""
        if not isinstance(data, dict) or "insecure" not in data:
            return data
        data = dict(data)
        if data.pop("insecure") in (True, "true"):
            if data.get("webhook_secrets") or data.get("webhook_secrets_file"):
                raise wrong(at(("insecure",), "stands beside webhook_secrets", mend="give one of the two"))
            data["webhook_secrets"] = "insecure"
        return data

    @model_validator(mode="after")
    def _has_secret(self) -> _Hooked:
        if not self.webhook_secrets:
            mend = "give at least one, or write `insecure` to accept unsigned webhooks"
            raise wrong(at(("webhook_secrets",), "is empty", mend=mend))
        return self

    @property
    def insecure(self) -> bool:
        return self.webhook_secrets == "insecure"


class Repository(_Hooked):
    """A Git repository whose pushes are acted on."""

    url: str = Field(description="Where it is fetched from: https:// or ssh:// (http:// without credentials only).")
    projects: Words = Field(
        default=("*",),
        description="Patterns of the MLRun project names it may own; a name belongs to the first that has it.",
    )
    credentials: Credentials = Field(default=Credentials(), description="How it is fetched, where it is not public.")
    branch: str | None = Field(
        default=None, description="The branch that counts; by default the remote's default branch."
    )
    poll: Duration = Field(
        default=180.0, description="How often to look without being told; 0 turns it off, and lost webhooks are lost."
    )

    @field_validator("branch")
    @classmethod
    def _branch(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                check_ref(f"{HEADS}{value}")
        except RefRejected as error:
            raise ValueError(f"is no branch: {error.what}") from None
        return value

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if scp := re.fullmatch(r"([\w.-]+@[\w.-]+):(?!//)(\S+)", value):
            raise ValueError(f"is not understood in this form; write ssh://{scp[1]}/{scp[2].lstrip('/')}")
        try:
            parts = urlsplit(value)
            named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:  # brackets that don't match, a port that is none
            named = False
        if not named or parts.scheme not in ("https", "http", "ssh") or re.search(r"\s", value):
            raise ValueError("can't be fetched; only https://, http:// and ssh:// addresses are")
        if not parts.path.strip("/"):
            raise ValueError("names no repository; write for example https://git.example.com/ml/fraud.git")
        if parts.password or (parts.username and parts.scheme != "ssh"):
            raise ValueError("has credentials in it; move them to credentials.username and credentials.token_file")
        return value

    @model_validator(mode="after")
    def _no_token_in_the_open(self) -> Repository:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and self.credentials.token and not is_loopback(parts.hostname or ""):
            raise wrong(at(("url",), "would carry the token unencrypted", mend="use https://", value=self.url))
        return self


class Hook(_Hooked):
    """An organisation-wide webhook: one address for several repositories."""

    repositories: Words = Field(default=("*",), description="Patterns of the names of the repositories it speaks for.")
