"""What differs between two resolved projects, for people: dotted paths, secrets masked, long values shortened.

Named things (functions, workflows, environment variables: lists of mappings that each have another `name`) are compared by
name. What changes with every commit or clock does not count (`projects.content`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from service.domain.planned import Action, Change
from service.domain.projects import Resolved, content
from service.limits import PLAN_VALUE_BYTES

MASK = "***"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = frozenset(
    {"password", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "credential", "credentials", "apikey"}
)
_SECRET_PAIRS = frozenset({("api", "key"), ("access", "key"), ("private", "key"), ("signing", "key"), ("auth", "key")})
# Each run of characters is looked at once: a function's code in base64 is one of a hundred thousand.
_URL_LOGIN = re.compile(r"((?<![\w+.-])[\w+.-]++://)[^\s/@]+@")
# Whoever has the address of an archive has the files: its first part is a key.
_CAPABILITY = re.compile(r"(/archives/)[^/\s\"']+")
_PLAIN_KEY = re.compile(r"[\w-]+")
_ABSENT = object()


def diff(before: Resolved | None, after: Resolved | None) -> tuple[Change, ...]:
    """The differences; against None everything is created or removed: one line a function and a workflow."""
    return tuple(_walk(_plain(before), _plain(after), ()))


def looks_secret(key: str) -> bool:
    """Whether a value under this key is better not shown: `db_password`, `AWS_SECRET_ACCESS_KEY`, not `max_tokens`."""
    words = [word.lower() for word in _WORD.findall(key)]
    return not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(pairwise(words))


def masked(value: Any, key: str = "") -> Any:
    """`value` as people may see it, where it stands under `key`. What stands in a secret is secret too."""
    if isinstance(value, dict):
        return {k: masked(v, key if looks_secret(key) else _meaning(value, k)) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item, key) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if looks_secret(key):
        return MASK
    return _without_keys(value) if isinstance(value, str) else value


def _without_keys(text: str) -> str:
    """Addresses in it keep their place and lose what gives access to them."""
    return _CAPABILITY.sub(rf"\1{MASK}", _URL_LOGIN.sub(rf"\1{MASK}@", text))


def _meaning(mapping: dict[str, Any], key: str) -> str:
    """What a key is about; `value` beside a `name` is about that name, as in a list of environment variables."""
    name = mapping.get("name")
    return name if key == "value" and isinstance(name, str) else key


def shown(value: Any) -> Any:
    """`value`, or what it is like if it is long: its beginning, size and digest, so that two long ones can be told apart."""
    encoded = msgspec.json.encode(value, order="sorted")
    if len(encoded) <= PLAN_VALUE_BYTES:
        return value
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    if isinstance(value, str):
        return f"{value[:60]}… ({len(value)} characters, sha256 {digest})"
    kind = "keys" if isinstance(value, dict) else "items"
    return f"({len(value)} {kind}, sha256 {digest})"


def _plain(resolved: Resolved | None) -> dict[str, Any]:
    if resolved is None:
        return {"functions": {}, "workflows": {}}
    plain = content(msgspec.to_builtins(resolved))
    return {part: plain.get(part, {}) for part in ("project", "functions", "workflows")}


def _walk(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _walk(before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, quoted(key)))
        return
    if (left := by_name(before)) is not None and (right := by_name(after)) is not None:
        yield from _walk_named(left, right, path)
        return
    if same(before, after):
        return
    action = Action.CREATE if before is _ABSENT else Action.REMOVE if after is _ABSENT else Action.CHANGE
    yield Change(path=dotted(path), action=action, before=display(before, path), after=display(after, path))


def same(before: Any, after: Any) -> bool:
    """As a revision's hash sees it: 1 and true are two things."""
    if before is _ABSENT or after is _ABSENT:
        return False
    return msgspec.json.encode(before, order="sorted") == msgspec.json.encode(after, order="sorted")


def _walk_named(before: dict[str, Any], after: dict[str, Any], path: tuple[str, ...]) -> Iterator[Change]:
    """Lists by name, then their order, which is a difference too."""
    for name in sorted(before.keys() | after.keys()):
        yield from _walk(before.get(name, _ABSENT), after.get(name, _ABSENT), (*path, f"[{name}]"))
    left, right = [n for n in before if n in after], [n for n in after if n in before]
    if left != right:
        yield Change(path=dotted((*path, "(order)")), action=Action.CHANGE, before=shown(left), after=shown(right))


def by_name(value: Any) -> dict[str, Any] | None:
    """A list of things that each have another name, by their names; None for anything else."""
    if not isinstance(value, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in value
    ):
        return None
    named = {item["name"]: item for item in value}
    return named if len(named) == len(value) else None


def display(value: Any, path: tuple[str, ...]) -> Any:
    """`value` for people, where it stands."""
    if value is _ABSENT:
        return None
    return shown(masked(value, "secret" if any(looks_secret(part) for part in path) else ""))


def quoted(key: str) -> str:
    """One step of a path."""
    return key if _PLAIN_KEY.fullmatch(key) else msgspec.json.encode(key).decode()


def dotted(path: tuple[str, ...]) -> str:
    """A path as people write it."""
    return ".".join(path).replace(".[", "[")
