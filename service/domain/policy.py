"""What `.gitops.yaml` picks, held against what the operator allows (`policy` and `handlers` of the settings)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from service.domain.projects import Declaration, RunnerRule
from service.errors import GitopsFileError, PlanError


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Globs, except `launchers` and `handlers`. Node selectors are `key=value`, environment variables `NAME`."""

    launchers: tuple[str, ...] = ("process",)
    images: tuple[str, ...] = ()
    node_selectors: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    handlers: frozenset[str] = frozenset()


def check(declaration: Declaration, policy: Policy) -> None:
    """Raise GitopsFileError for the first thing that the operator did not allow."""
    for what, allowed, key in _refused(declaration, policy):
        choice = f"the operator allows {', '.join(sorted(allowed))}" if allowed else "the operator allows none"
        raise GitopsFileError(
            f".gitops.yaml: project {declaration.path!r}: {what}", mend=f"{choice} ({key} in the settings)"
        )


def check_runner(runner: RunnerRule, policy: Policy) -> None:
    """The same for where and how one job is to run, when it does: the operator may have become stricter meanwhile. Raises PlanError."""
    for key, patterns, said, wish in _wishes(runner, policy):
        if not any(fnmatchcase(wish, pattern) for pattern in patterns):
            choice = f"the operator allows {', '.join(patterns)}" if patterns else "the operator allows none"
            raise PlanError(f"{said} is not allowed", mend=f"{choice} (policy.{key} in the settings)")


def _refused(declaration: Declaration, policy: Policy) -> Iterator[tuple[str, Iterable[str], str]]:
    launcher = declaration.runner.launcher
    if launcher is not None and launcher not in policy.launchers:
        yield f"runner.launcher {launcher!r} is not allowed", policy.launchers, "policy.launchers"
    for key, patterns, said, wish in _wishes(declaration.runner, policy):
        if not any(fnmatchcase(wish, pattern) for pattern in patterns):
            yield f"runner.{said} is not allowed", patterns, f"policy.{key}"
    for rule in declaration.notify:
        if rule.to not in policy.handlers:
            yield f"notify.to {rule.to!r} is no handler", policy.handlers, "handlers"


def _wishes(runner: RunnerRule, policy: Policy) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """What is picked by pattern: the policy's key, its patterns, the wish for people, and the word that has to match."""
    if runner.image is not None:
        yield "images", policy.images, f"image {runner.image!r}", runner.image
    for key, value in runner.node_selector.items():
        yield "node_selectors", policy.node_selectors, f"node_selector {key}={value}", f"{key}={value}"
    for name in runner.env:
        yield "env", policy.env, f"env {name}", name
    for name in runner.volumes:
        yield "volumes", policy.volumes, f"volumes {name!r}", name
    if runner.service_account is not None:
        account = runner.service_account
        yield "service_accounts", policy.service_accounts, f"service_account {account!r}", account
