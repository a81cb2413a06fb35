"""What a moved ref means to a project: is it concerned, must it be loaded, which workflows run.

Refs. A short name or glob in `refs` (`main`, `release/*`) means branches; `tags/v*` means tags. Without `refs` it is the
repository's branch. A tag concerns a project only if one of its rules is `on: tag`; with such a rule and no tag
pattern, every tag does.

Paths. A pattern is a line of .gitignore, relative to the project's folder, or with a leading `/` to the repository's;
the last one that matches decides; only-`!` lists begin with everything. No match: nothing runs. The configuration is
loaded anyway when something in the project's own folder or its declaration changed, so that what is in force is
what Git says; else the sync is skipped before any code is loaded.

Skip tokens (`[skip ci]` ...) hold back runs, never the configuration, and only if every commit since the base has one. To
a tag neither paths nor tokens apply: release tools tag the very commit that they marked `[skip ci]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.domain import globs
from service.domain.planned import Cause
from service.domain.projects import Declaration, RunOn
from service.domain.refs import HEADS, TAGS, short

_SKIP = re.compile(
    r"\[(?:skip[ -](?:ci|actions|gitops)|(?:ci|actions|gitops)[ -]skip|no[ -](?:ci|gitops))\]", re.IGNORECASE
)
# Without a push that asks for it, or when somebody asks by hand, paths and tokens have no say.
ASKED = frozenset({Cause.MANUAL})


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, and why: the reason is shown to people."""

    yes: bool
    reason: str


def is_tag(ref: str) -> bool:
    return ref.startswith(TAGS)


def concerns(declaration: Declaration, ref: str, branch: str | None) -> bool:
    """Whether `ref` (full) is the project's; `branch` is the repository's own (short), where it is known."""
    branches, tags = _patterns(declaration)
    if ref.startswith(TAGS):
        hears_tags = any(rule.on is RunOn.TAG for rule in declaration.run or ())
        return hears_tags and (not tags or _matches_any(tags, short(ref)))
    if not ref.startswith(HEADS):
        return False
    if not declaration.refs or (tags and not branches):
        return branch is not None and short(ref) == branch
    return _matches_any(branches, short(ref))


def bound(declarations: Iterable[Declaration], ref: str, branch: str | None) -> tuple[Declaration, ...]:
    return tuple(declaration for declaration in declarations if concerns(declaration, ref, branch))


def relevant(declaration: Declaration, changed: Iterable[str]) -> tuple[str, ...]:
    """Those of the changed paths (from the repository's root) that `paths` names."""
    patterns = declaration.paths
    if all(pattern.startswith("!") for pattern in patterns):
        patterns = ("**", *patterns)
    return tuple(path for path in changed if _named(patterns, path, declaration.path))


def should_sync(
    declaration: Declaration,
    *,
    cause: Cause,
    changed_paths: Sequence[str] | None,
    synced_before: bool = True,
    declaration_changed: bool = False,
) -> Decision:
    """Whether the project must be loaded, or its sync can be skipped before. `changed_paths` None: not known."""
    if cause in ASKED:
        return Decision(True, "asked for")
    if cause is Cause.TOLD:
        return Decision(True, "a webhook told of it after it was found")
    if not synced_before:
        return Decision(True, "never synced before")
    if declaration_changed:
        return Decision(True, "its declaration changed")
    if changed_paths is None:
        return Decision(True, "what changed since the last sync is not known")
    if inside := [path for path in changed_paths if _relative(path, declaration.path) is not None]:
        return Decision(True, f"{_counted(inside)} changed in the project's folder")
    if found := relevant(declaration, changed_paths):
        return Decision(True, f"{_counted(found)} that paths names changed")
    if not changed_paths:
        return Decision(False, "no file changed since the last sync")
    return Decision(False, f"none of the {len(changed_paths)} changed files concerns this project")


def should_run(
    declaration: Declaration, *, cause: Cause, changed_paths: Sequence[str] | None, messages: Sequence[str]
) -> Decision:
    """Whether a sync may start runs at all; which ones is the plan's part."""
    if cause is Cause.FIRST:
        return Decision(
            False, "the first sync of a ref that was found without a push saves and schedules, but runs nothing"
        )
    if cause in ASKED:
        return Decision(True, "asked for")
    if (token := skip_token(messages)) is not None:
        return Decision(False, f"every commit since the last sync says {token}")
    if cause is Cause.TOLD or changed_paths is None:
        return Decision(True, "what changed is not known, so everything counts as changed")
    if not changed_paths:
        return Decision(False, "no file changed since the last sync")
    if not (found := relevant(declaration, changed_paths)):
        return Decision(False, f"none of the {len(changed_paths)} changed files is one that paths names")
    return Decision(True, f"{_counted(found)} changed")


def skip_token(messages: Sequence[str]) -> str | None:
    """The newest commit's skip token, if every one of the messages has some."""
    found = [_SKIP.search(message) for message in messages]
    return found[0][0] if found and found[0] and all(found) else None


def _patterns(declaration: Declaration) -> tuple[list[str], list[str]]:
    """The short patterns of branches and of tags."""
    branches, tags = [], []
    for ref in declaration.refs:
        plain = ref.removeprefix("refs/")
        if plain.startswith("tags/"):
            tags.append(plain.removeprefix("tags/"))
        else:
            branches.append(plain.removeprefix("heads/"))
    return branches, tags


def _matches_any(patterns: Iterable[str], name: str) -> bool:
    """As with paths, the last pattern that matches decides, and `!` takes away."""
    verdict = False
    for pattern in patterns:
        if globs.matches(pattern.removeprefix("!"), name):
            verdict = not pattern.startswith("!")
    return verdict


def _named(patterns: Iterable[str], path: str, folder: str) -> bool:
    verdict = False
    inside = _relative(path, folder)
    for pattern in patterns:
        plain = pattern.removeprefix("!")
        where = path if plain.startswith("/") else inside
        if where is not None and globs.matches_path(plain, where):
            verdict = not pattern.startswith("!")
    return verdict


def _relative(path: str, folder: str) -> str | None:
    """`path` seen from the project's folder, None outside."""
    if folder == ".":
        return path
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else None


def _counted(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
