"""Every setting, typed, with what it means; the reference page and the starter file are made from here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from service import limits
from service.domain import image_ref
from service.domain.hosts import is_loopback
from service.domain.mlrun_versions import DEFAULT, MLRUN_KFP, SUFFIX, Supported
from service.errors import ImageError
from service.settings.kubernetes import Kubernetes
from service.settings.notify import CONSOLE, HandlerSettings, Subscription
from service.settings.problems import at, wrong
from service.settings.repositories import Hook, Repository
from service.settings.section import (
    Duration,
    HandlerName,
    HttpUrl,
    Section,
    Words,
    lines,
)

TOKEN_LENGTH = 16


class Store(Section):
    """Where deliveries, projects, runs and schedules are kept."""

    url: SecretStr | None = Field(
        default=None,
        description="A PostgreSQL database as `postgresql+psycopg://user:password@host/name`. Without it the store is a "
        "SQLite file in `data_dir`, for exactly one service process.",
    )


class Server(Section):
    """The HTTP server: webhooks, API, health, and what runner pods ask."""

    host: str = Field(
        default="127.0.0.1", description="The address to listen on. Anything but loopback needs `auth.tokens`."
    )
    port: int = Field(default=8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    health_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="A port beside it at which `/healthz` alone is answered, by a thread of its own: also while all others wait for a "
        "database, or for slow senders. By default there is none.",
    )
    public_url: HttpUrl | None = Field(
        default=None, description="Where forges and people reach the service; links in notifications begin with it."
    )
    internal_url: HttpUrl | None = Field(
        default=None, description="Where runner pods reach the service, if not at `public_url`."
    )
    threads: int = Field(default=32, ge=1, le=256, description="Requests that are answered at the same time.")

    drain: Duration | None = Field(
        default=None,
        description="How long after SIGTERM requests are still taken while `/readyz` says no, so that who spreads them over several "
        "processes stops sending them here. By default 5 s where `store.url` is set, else 0.",
    )

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


class Token(Section):
    """A bearer token of the API; in YAML a plain string is one with a name made up."""

    name: str = Field(
        default="default", min_length=1, max_length=100, description="Who it belongs to; the audit log shows it."
    )
    token: SecretStr = Field(description="The secret, at least 16 characters; `mlrun-gitops token` makes a good one.")

    @field_validator("token")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < TOKEN_LENGTH:
            raise ValueError(f"is shorter than {TOKEN_LENGTH} characters; `mlrun-gitops token` makes a good one")
        return value


class Auth(Section):
    """Who may use the API."""

    tokens: tuple[Token, ...] = Field(
        default=(), description="Bearer tokens. With none, the API answers loopback only, and asks for nothing."
    )
    oidc: None = Field(default=None, description="Sign-in by OpenID Connect; no version has it yet, so leave it out.")

    @field_validator("tokens", mode="before")
    @classmethod
    def _plain_tokens(cls, value: Any) -> Any:
        value = lines(value)
        if isinstance(value, (list, tuple)):
            return [{"name": f"token-{i + 1}", "token": t} if isinstance(t, str) else t for i, t in enumerate(value)]
        return value

    @model_validator(mode="after")
    def _distinct(self) -> Auth:
        for i, token in enumerate(self.tokens):
            if token.name in [t.name for t in self.tokens[:i]]:
                what = f"{token.name!r} names a second token"
                raise wrong(at(("tokens", i, "name"), what, mend="give each token its own name", value=token.name))
        return self


class Mlrun(Section):
    """The MLRun that projects are written for."""

    version: Supported = Field(
        default=DEFAULT, description="The version of MLRun: in the runner environment, and in the names of its images."
    )
    api: HttpUrl | None = Field(
        default=None, description="The MLRun API server; without it projects live in the store alone."
    )
    source: Literal["archive", "git"] = Field(
        default="archive", description="Where MLRun takes files from: an archive of the very commit, or the Git branch."
    )
    token: SecretStr | None = Field(
        default=None, description="What the service shows to the MLRun API, where that wants a bearer token."
    )
    access_key: SecretStr | None = Field(
        default=None,
        description="The same for an MLRun of the Iguazio platform: an access key, sent as the session of its owner.",
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        description="Whose `access_key` it is, where the platform is reached from outside: both are then sent as user and password.",
    )
    ca_bundle: Path | None = Field(
        default=None,
        description="Certificates that are trusted besides the system's, if the MLRun API has one of an own authority.",
    )
    runner_token: SecretStr | None = Field(
        default=None,
        description="What runners show to the MLRun API: an access key where the service has one, else a bearer token. A project's "
        "code can use it too, so it is one of its own that may do no more than runs need; the service's is never given to a runner.",
    )
    image_suffix: str = Field(
        default=SUFFIX,
        pattern=r"^[A-Za-z0-9_.-]{0,32}$",
        description="How the tag of an MLRun image for Python 3.9 ends, where there is one for 3.11 too.",
    )
    images_registry: str | None = Field(
        default=None,
        description="The registry that MLRun's images are taken from, with the folder they lie in where they do: "
        "`registry.example.com:5000/mirror`. By default Docker Hub.",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Mlrun:
        if self.token and self.access_key:
            raise wrong(at(("access_key",), "stands beside token", mend="give the one that the MLRun API asks for"))
        if self.username and not self.access_key:
            raise wrong(at(("username",), "has no access_key", mend="give both, or neither", value=self.username))
        return self

    @field_validator("images_registry")
    @classmethod
    def _is_a_registry(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.strip().rstrip("/")
        try:
            named = image_ref.parse(f"{value}/{MLRUN_KFP}")
        except ImageError as error:
            raise ValueError("is no registry; write a host name, with port and folder where it has them") from error
        if named.registry in ("", image_ref.OF_THE_SERVER) or "://" in value:
            raise ValueError("names no host; write for example registry.example.com:5000/mirror")
        return value


class LauncherSettings(Section):
    """Where projects are loaded and workflows run."""

    kind: Literal["process", "kubernetes", "mlrun"] = Field(
        default="process",
        description="`process`: child processes of the service. `kubernetes`: Jobs. `mlrun`: MLRun's own runner.",
    )
    loads: Literal["process", "kubernetes"] = Field(
        default="process",
        description="Where projects are loaded that run by `mlrun`, since MLRun's runner loads none.",
    )
    concurrency: int = Field(default=2, ge=1, le=1000, description="Jobs at the same time.")
    runner_python: Path | None = Field(
        default=None,
        description="The Python for the runner environment: a 3.9, or a 3.11 from MLRun 1.11 on. By default one is looked "
        "for, then fetched by uv.",
    )
    trusted: bool = Field(
        default=False,
        description="`true` says: everybody who can push to a repository may act as the service's own user. Asked for when "
        "the process launcher is not root (so that runners have no user of their own) and the service listens beyond loopback.",
    )
    warm: bool = Field(
        default=True, description="Keep a runner with MLRun imported ready: a start takes 0.1 s instead of 5 s."
    )
    runs_dir: Path | None = Field(
        default=None, description="Where jobs live; by default beside `data_dir`, readable for the runner's own user."
    )
    cache_dir: Path | None = Field(
        default=None, description="Where runner environments are; by default the user's or the system's cache folder."
    )
    load_timeout: Duration = Field(default=limits.LOAD_TIMEOUT_S, description="How long loading a project may take.")
    run_timeout: Duration = Field(
        default=limits.RUN_TIMEOUT_S, description="How long a run may take where `.gitops.yaml` says nothing."
    )
    user: int | None = Field(
        default=None, ge=1, description="The runner's uid when the service is root; by default 64998."
    )
    kubernetes: Kubernetes = Field(default=Kubernetes(), description="Jobs as pods of a cluster.")


class Schedules(Section):
    """Who keeps the clock."""

    owner: Literal["gitops", "mlrun"] = Field(
        default="gitops", description="Who fires schedules: this service, or MLRun."
    )


class Policy(Section):
    """What `.gitops.yaml` may pick from; patterns with `*` are allowed."""

    launchers: Words = Field(
        default=(),
        description="Launchers besides `launcher.kind`, each by its whole name; what is listed is kept ready.",
    )
    images: Words = Field(default=(), description="Runner images.")
    node_selectors: Words = Field(default=(), description="Node selectors, as `label=value`.")
    env: Words = Field(default=(), description="Environment variables of runner pods, by name.")
    volumes: Words = Field(default=(), description="Volumes of `launcher.kubernetes.volumes`, by name.")
    service_accounts: Words = Field(default=(), description="Service accounts that runner pods may have.")
    files_in_images: bool = Field(
        default=False,
        description="Whether MLRun may build images with a repository's files in them (`runner.target_dir`). Who can push then has code "
        "where images are built, beside the registry's credential and the project's secrets.",
    )


class Settings(Section):
    """The whole of config.yaml."""

    data_dir: Path = Field(
        default=Path("./data"), description="Where the service keeps its files: store, mirrors, spool."
    )
    store: Store = Field(default=Store(), description="Where deliveries, projects, runs and schedules are kept.")
    server: Server = Field(default=Server(), description="The HTTP server.")
    auth: Auth = Field(default=Auth(), description="Who may use the API.")
    mlrun: Mlrun = Field(default=Mlrun(), description="The MLRun that projects are written for.")
    launcher: LauncherSettings = Field(
        default=LauncherSettings(), description="Where projects are loaded and workflows run."
    )
    schedules: Schedules = Field(default=Schedules(), description="Who keeps the clock.")
    policy: Policy = Field(default=Policy(), description="What `.gitops.yaml` may pick from.")
    repositories: tuple[Repository, ...] = Field(default=(), description="The repositories whose pushes are acted on.")
    hooks: tuple[Hook, ...] = Field(default=(), description="Webhooks that speak for several repositories.")
    handlers: dict[HandlerName, HandlerSettings] = Field(
        default={"console": CONSOLE}, description="Where notifications go, by name; `console` is always there."
    )
    notify: tuple[Subscription, ...] = Field(
        default=(Subscription(to="console"),),
        description="Who hears of what; by default the console hears of everything.",
    )

    @field_validator("handlers", mode="before")
    @classmethod
    def _console_is_always_there(cls, value: Any) -> Any:
        return {"console": CONSOLE, **value} if isinstance(value, dict) else value

    @property
    def hooks_by_name(self) -> dict[str, Repository | Hook]:
        """Everything that has an address under /webhooks."""
        both: Sequence[Repository | Hook] = (*self.hooks, *self.repositories)
        return {hook.name: hook for hook in both}

    @property
    def launchers(self) -> tuple[str, ...]:
        """What jobs may run by; the first is taken where nobody chooses."""
        return tuple(dict.fromkeys((self.launcher.kind, *self.policy.launchers)))

    @property
    def launchers_in_use(self) -> tuple[str, ...]:
        """These, and the one that loads projects for MLRun's runner, where that is one of them."""
        loads = (self.launcher.loads,) if "mlrun" in self.launchers else ()
        return tuple(dict.fromkeys((*self.launchers, *loads)))

    @property
    def mlrun_address(self) -> str:
        """Which MLRun API there is; empty without one."""
        return str(self.mlrun.api or "").rstrip("/")

    @property
    def drain_s(self) -> float:
        """Seconds between SIGTERM and the end of listening."""
        if self.server.drain is not None:
            return self.server.drain
        return limits.DRAIN_S if self.store.url is not None else 0.0

    def masked(self) -> dict[str, Any]:
        """All settings as plain JSON for people to see: a secret is asterisks, whether given or read from a file."""
        return self.model_dump(mode="json")
