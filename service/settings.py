"""Typed settings: one YAML file, overridden by `GITOPS_*`; every secret also as a file.

`load_settings` is the front door. Unknown keys are errors, and an error names the key, the value and the mend.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.errors import SettingsError

Forge = Literal[
    "github", "gitlab", "gitea", "forgejo", "gogs", "bitbucket", "bitbucket-dc", "azure-devops", "generic"
]
NAME = re.compile(r"^[a-z0-9]([-a-z0-9_.]{0,98}[a-z0-9])?$")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: Any) -> Any:
    """`90`, `"90s"`, `"3m"`, `"2h"`, `"1d"` → seconds."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", value.strip())
        if not found:
            raise ValueError(f"{value!r} is no duration; write for example 90s, 3m or 2h")
        return float(found[1]) * _UNITS[found[2] or "s"]
    return value


Duration = Annotated[float, BeforeValidator(seconds), Field(ge=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, data: Any) -> Any:
        """A secret field `x` may be given as `x_file`; the file's content without the last newline is the secret."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for name, field in cls.model_fields.items():
            if field.annotation not in (SecretStr, SecretStr | None):
                continue
            if (path := data.pop(f"{name}_file", None)) is not None:
                if data.get(name) is not None:
                    raise ValueError(f"give {name} or {name}_file, not both")
                data[name] = _read_secret(name, path)
        return data


def _read_secret(name: str, path: Any) -> str:
    try:
        return Path(str(path)).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise ValueError(f"{name}_file: cannot read {path}: {error.strerror}") from error


class Store(Section):
    url: SecretStr | None = None


class Server(Section):
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: str | None = None
    internal_url: str | None = None
    threads: int = Field(32, ge=1, le=256)

    @property
    def loopback(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


class Token(Section):
    """A bearer token of the API. In YAML a plain string is a token that may do everything."""

    name: str = "default"
    token: SecretStr | None = None


class Auth(Section):
    tokens: tuple[Token, ...] = ()
    oidc: dict[str, Any] | None = None

    @field_validator("tokens", mode="before")
    @classmethod
    def _plain_tokens(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [{"name": f"token-{i + 1}", "token": t} if isinstance(t, str) else t for i, t in enumerate(value)]
        return value


class Mlrun(Section):
    version: str = "1.9.2"
    api: str | None = None
    source: Literal["archive", "git"] = "archive"
    runner_token: SecretStr | None = None
    image_suffix: str = "-py39"
    images_registry: str | None = None


class LauncherSettings(Section):
    kind: Literal["process", "kubernetes", "mlrun"] = "process"
    concurrency: int = Field(2, ge=1, le=1000)
    runner_python: Path | None = None
    trusted: bool = False
    warm: bool = True
    runs_dir: Path | None = None  # where jobs live; default: beside data_dir, readable for the runner's own user
    cache_dir: Path | None = None  # runner environments; default: a cache folder of the user or of the system
    load_timeout: Duration = 300.0
    run_timeout: Duration = 24 * 3600.0
    user: int | None = None  # the runner's uid when the service is root; default 64998


class Schedules(Section):
    owner: Literal["gitops", "mlrun"] = "gitops"


class Policy(Section):
    """What `.gitops.yaml` may pick from."""

    launchers: tuple[str, ...] = ("process",)
    images: tuple[str, ...] = ()
    node_selectors: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()


class Credentials(Section):
    username: str | None = None
    token: SecretStr | None = None
    ssh_key: SecretStr | None = None


Secrets = tuple[SecretStr, ...] | Literal["insecure"]


class Repository(Section):
    name: str
    url: str
    forge: Forge = "github"
    projects: tuple[str, ...] = ("*",)
    webhook_secrets: Secrets = ()
    webhook_secrets_file: Path | None = None
    credentials: Credentials = Credentials()
    branch: str | None = None
    poll: Duration = 180.0

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not NAME.match(value):
            raise ValueError(f"{value!r}: use lower-case letters, digits and - _ . (at most 100)")
        return value

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not re.match(r"^(https?|ssh)://[^\s]+$", value):
            raise ValueError(f"{value!r}: only https://, http:// (loopback) and ssh:// URLs are fetched")
        if re.match(r"^\w+://[^/@]*:[^/@]*@", value):
            raise ValueError("a password stands in the URL; move it to credentials.token_file")
        return value

    @model_validator(mode="after")
    def _has_secret(self) -> Repository:
        if not self.webhook_secrets and self.webhook_secrets_file is None:
            raise ValueError("webhook_secrets is empty; give at least one, or write `insecure` to accept unsigned hooks")
        return self


class Hook(Section):
    """An organisation-wide webhook: one address for several repositories."""

    name: str
    forge: Forge = "github"
    webhook_secrets: Secrets = ()
    webhook_secrets_file: Path | None = None
    repositories: tuple[str, ...] = ("*",)

    @model_validator(mode="after")
    def _has_secret(self) -> Hook:
        if not self.webhook_secrets and self.webhook_secrets_file is None:
            raise ValueError("webhook_secrets is empty; give at least one, or write `insecure` to accept unsigned hooks")
        return self


class HandlerSettings(BaseModel):
    """A handler's options are its own; only `kind` is ours. `x_file` is read into `x`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @property
    def options(self) -> dict[str, Any]:
        plain = dict(self.model_extra or {})
        for key in [k for k in plain if k.endswith("_file")]:
            plain[key.removesuffix("_file")] = _read_secret(key.removesuffix("_file"), plain.pop(key))
        return plain


class Subscription(Section):
    to: str
    on: tuple[str, ...] = ("*",)
    projects: tuple[str, ...] = ("*",)
    refs: tuple[str, ...] = ("*",)
    severity: Literal["info", "warning", "error"] = "info"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="GITOPS_", env_nested_delimiter="__", extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    data_dir: Path = Path("./data")
    store: Store = Store()
    server: Server = Server()
    auth: Auth = Auth()
    mlrun: Mlrun = Mlrun()
    launcher: LauncherSettings = LauncherSettings()
    schedules: Schedules = Schedules()
    policy: Policy = Policy()
    repositories: tuple[Repository, ...] = ()
    hooks: tuple[Hook, ...] = ()
    handlers: dict[str, HandlerSettings] = {"console": HandlerSettings(kind="console")}
    notify: tuple[Subscription, ...] = (Subscription(to="console"),)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file (which comes in as init values)."""
        return env_settings, init_settings


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `path`, else from `GITOPS_CONFIG`, else from the environment alone. Raises SettingsError."""
    raise SettingsError("to be written")


__all__ = ["Settings", "load_settings", "yaml", "ValidationError"]
