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
_ONE = "*"


def matches(pattern: str, name: str) -> bool:
    """Whether all of `name` (`release/1.9`, `src/train.py`) is matched by `pattern`."""
    return _match(_components(pattern), name.split("/"))


def matches_path(pattern: str, path: str) -> bool:
    """As one line of .gitignore: without a `/` before its end it matches at any depth; a folder means all that is in it."""
    plain = pattern.removesuffix("/")
    components = _components(plain.removeprefix("/") if "/" in plain else f"{ANY}/{plain}")
    parts = path.split("/")
    folder = pattern.endswith("/")
    if not folder and _match(components, parts):
        return True
    directly = not folder and components[-1] == _ONE  # `src/*`: what lies in src itself
    return not directly and _match((*components, _ONE, ANY), parts)


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
    """What stands between the slashes; at the end `**` means something, so at least one component."""
    components = tuple(pattern.split("/"))
    return (*components[:-1], _ONE, ANY) if components[-1] == ANY else components


@lru_cache(maxsize=2048)
def _compiled(component: str) -> re.Pattern[str]:
    """One component; `translate` writes atomic groups, which do not backtrack."""
    return re.compile(translate(component))
