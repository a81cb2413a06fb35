"""What `.gitops.yaml` picks, held against what the operator allows (`policy` and `handlers` of the settings)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from service.domain.projects import Declaration
from service.errors import GitopsFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Globs, except `launchers` and `handlers`. Node selectors are `key=value`."""

    launchers: tuple[str, ...] = ("process",)
    images: tuple[str, ...] = ()
    node_selectors: tuple[str, ...] = ()
    handlers: frozenset[str] = frozenset()


def check(declaration: Declaration, policy: Policy) -> None:
    """Raise GitopsFileError for the first thing that the operator did not allow."""
    for what, allowed, key in _refused(declaration, policy):
        choice = f"the operator allows {', '.join(sorted(allowed))}" if allowed else "the operator allows none"
        raise GitopsFileError(
            f".gitops.yaml: project {declaration.path!r}: {what}", mend=f"{choice} ({key} in the settings)"
        )


def _refused(declaration: Declaration, policy: Policy) -> Iterator[tuple[str, Iterable[str], str]]:
    runner = declaration.runner
    if runner.launcher is not None and runner.launcher not in policy.launchers:
        yield f"runner.launcher {runner.launcher!r} is not allowed", policy.launchers, "policy.launchers"
    if runner.image is not None and not _allowed(runner.image, policy.images):
        yield f"runner.image {runner.image!r} is not allowed", policy.images, "policy.images"
    for key, value in runner.node_selector.items():
        if not _allowed(f"{key}={value}", policy.node_selectors):
            yield (
                f"runner.node_selector {key}={value} is not allowed",
                policy.node_selectors,
                "policy.node_selectors",
            )
    for rule in declaration.notify:
        if rule.to not in policy.handlers:
            yield f"notify.to {rule.to!r} is no handler", policy.handlers, "handlers"


def _allowed(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)
