"""Globs of refs and paths, in gitignore's spirit and in bounded time.

Patterns come from repositories. Their regular-expression forms backtrack for minutes on a hostile pattern
(`*a*a*a*a*b`), so they are matched here component by component; the tests hold this against pathspec.

`*`, `?` and `[...]` match within one component; `**` matches any number of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache

ANY = "**"


def matches(pattern: str, name: str) -> bool:
    """Whether all of `name` (`release/1.9`, `src/train.py`) is matched by `pattern`."""
    return _match(_components(pattern), name.split("/"))


def matches_path(pattern: str, path: str) -> bool:
    """As one line of .gitignore: without a `/` but at the end it matches at any depth, and a folder means all in it."""
    pattern = pattern.rstrip("/") if pattern.endswith("/") else pattern
    if "/" not in pattern:
        pattern = f"{ANY}/{pattern}"
    components = _components(pattern.removeprefix("/"))
    parts = path.split("/")
    return _match(components, parts) or _match((*components, _ONE, ANY), parts)


# At least one more component.
_ONE = "*"


def _match(components: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the components match all the parts: a row per component of the positions that can be reached."""
    reached = {0}
    for component in components:
        if component == ANY:
            reached = set(range(min(reached), len(parts) + 1))
        else:
            compiled = _compiled(component)
            reached = {at + 1 for at in reached if at < len(parts) and compiled.match(parts[at])}
        if not reached:
            return False
    return len(parts) in reached


def _components(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split("/"))


@lru_cache(maxsize=2048)
def _compiled(component: str) -> re.Pattern[str]:
    """One component; `translate` writes atomic groups, which do not backtrack."""
    return re.compile(translate(component))
