"""Whose webhook is it? The path names a repository, or an organisation-wide hook that speaks for several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from service.errors import SettingsError
from service.settings import Hook, Repository, Settings


@dataclass(frozen=True, slots=True)
class Target:
    """What an address under /webhooks belongs to.

    `secrets` is None where the operator accepts unsigned deliveries. `repository` is the one the path names; with an
    organisation-wide hook it is None, and the payload picks from `candidates`.
    """

    hook: str
    forge: str
    secrets: tuple[bytes, ...] | None
    repository: Repository | None
    candidates: tuple[Repository, ...]

    def named(self, full_name: str) -> list[Repository]:
        """The candidates that the forge means by `full_name`.

        Several where the same repository is configured twice, or two forges have one of that name: a delivery is only
        a hint, so each of them may be looked at.
        """
        wanted = full_name.strip("/").casefold()
        exact = [r for r in self.candidates if path_of(r.url) == wanted]
        return exact or [r for r in self.candidates if path_of(r.url).endswith("/" + wanted)]


class Hooks:
    """The addresses that these settings open. Raises SettingsError for a forge that is not among `forges`."""

    def __init__(self, settings: Settings, forges: Iterable[str]) -> None:
        _check_forges(settings, sorted(forges))
        hooks = [self._hook(hook, settings.repositories) for hook in settings.hooks]
        self._targets = {(t.forge, t.hook): t for t in [*hooks, *map(self._own, settings.repositories)]}

    def find(self, forge: str, hook: str) -> Target | None:
        return self._targets.get((forge, hook))

    def _own(self, repository: Repository) -> Target:
        return Target(repository.name, repository.forge, _secrets(repository), repository, (repository,))

    def _hook(self, hook: Hook, repositories: Sequence[Repository]) -> Target:
        meant = tuple(
            r for r in repositories if r.forge == hook.forge and any(fnmatchcase(r.name, p) for p in hook.repositories)
        )
        return Target(hook.name, hook.forge, _secrets(hook), None, meant)


def _check_forges(settings: Settings, forges: Sequence[str]) -> None:
    for key, entries in (("repositories", settings.repositories), ("hooks", settings.hooks)):
        for i, hook in enumerate(entries):
            if hook.forge not in forges:
                raise SettingsError(
                    f"{key}[{i}].forge {hook.forge!r} is not understood yet",
                    mend=f"This version understands {', '.join(forges)}; generic takes anything that signs with HMAC-SHA256",
                )


def path_of(url: str) -> str:
    """`https://git.example.com/ML/fraud.git/` → `ml/fraud`: how forges compare names."""
    return urlsplit(url).path.strip("/").removesuffix(".git").casefold()


def _secrets(hook: Repository | Hook) -> tuple[bytes, ...] | None:
    if hook.webhook_secrets == "insecure":
        return None
    return tuple(secret.get_secret_value().encode() for secret in hook.webhook_secrets)
