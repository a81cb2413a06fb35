"""What differs between Git, what was saved from it, and what MLRun has now: three-way, as `kubectl apply` compares.

What was read back right after a save is the middle. It holds what MLRun itself made of the documents (its defaults, its own order),
so whatever differs from it now was changed since, by somebody else. Fields that MLRun writes on its own do not count: each
run stores its functions again, with mounts, credentials and the place where they were built. What MLRun adds to a function where Git says
nothing, such as the image that it built, is not drift either; what somebody adds to the project is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from service.domain import diff
from service.domain.projects import USERS_WORDS, Json, content
from service.domain.saving import Documents

# Fields of MLRun's own, beside those that say when or where (`projects.content`).
_MLRUNS_OWN = frozenset({"credentials", "volumes", "volume_mounts", "created", "uid", "categories"})
# Where files come from: told apart, since every commit changes it.
_SOURCE = frozenset({"source", "origin_url"})
_ABSENT = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A document that was saved: the digest of Git's version, and what was read back, without what does not count."""

    wanted: str
    read: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a project's last save came to. `source` is where its files come from since.

    `api` is the server that has it, `clock` who fires the project's schedules since. `left`: the name was given up, and what fires there
    under it is still to be removed.
    """

    source: str
    project: Kept
    functions: dict[str, Kept] = field(default_factory=dict)
    workflows: tuple[str, ...] = ()
    api: str = ""
    clock: str = ""
    left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """What MLRun has now: documents as its API shows them. `project` None: it does not know the project.

    `notifies`: whether its schedules have the notifications that they were submitted with.
    """

    project: Json | None = None
    functions: dict[str, Json] = field(default_factory=dict)
    schedules: dict[str, Json] = field(default_factory=dict)
    notifies: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field: `what` is `project` or `function NAME`. Values are for people: secrets are masked, long ones shortened."""

    what: str
    path: str
    git: Any = None
    saved: Any = None
    there: Any = None


def digest(document: Json) -> str:
    """Equal where Git says the same, whatever commit says it."""
    return hashlib.sha256(msgspec.json.encode(content(_without_source(document)), order="sorted")).hexdigest()[:20]


def kept(document: Json, read: Json) -> Kept:
    """`document` was written, and then read as `read`."""
    return Kept(wanted=digest(document), read=comparable(read))


def comparable(document: Json) -> Json:
    """Without what MLRun writes on its own."""
    plain: Json = _stripped(content(_without_source(document)))
    return plain


def source_of(project: Json | None) -> str:
    return str(((project or {}).get("spec") or {}).get("source") or "")


def of_function(name: str, saved: Kept, there: Json | None, git: Json | None = None) -> list[Difference]:
    """What is there now against what was read back; a function that is gone is one difference."""
    what = f"function {name}"
    if there is None:
        return [Difference(what=what, path="", saved="there", git=None if git is None else "there")]
    return list(_walk(what, (), (git or {}, saved.read, comparable(there)), additions=False))


def of_project(saved: Kept, there: Json | None, git: Json | None = None) -> list[Difference]:
    if there is None:
        return [Difference(what="project", path="", saved="there", git=None if git is None else "there")]
    return list(_walk("project", (), (git or {}, saved.read, comparable(there)), additions=True))


def report(git: Documents, saved: Saved, there: There) -> tuple[Difference, ...]:
    """Everything that differs: in the project, then in its functions by name."""
    found = project_report(saved, there.project, git)
    for name, one in sorted(saved.functions.items()):
        ours = git.functions.get(name)
        found += of_function(name, one, there.functions.get(name), comparable(ours) if ours else None)
    return tuple(found)


def project_report(saved: Saved, there: Json | None, git: Documents | None = None) -> list[Difference]:
    """Of the project, and where its files come from."""
    found = of_project(saved.project, there, comparable(git.project) if git else None)
    if there is not None and saved.source != source_of(there):
        source = git.source if git else None
        found.append(_shown("project", ("spec", "source"), (source, saved.source, source_of(there))))
    return found


_Three = tuple[Any, Any, Any]


def _walk(what: str, path: tuple[str, ...], three: _Three, *, additions: bool) -> Iterator[Difference]:
    git, saved, there = (diff.by_name(one) if diff.by_name(one) is not None else one for one in three)
    if isinstance(saved, dict) and isinstance(there, dict):
        named = isinstance(three[1], list)
        for key in sorted(saved.keys() | there.keys()):
            ours = git.get(key) if isinstance(git, dict) else _ABSENT
            step = f"[{key}]" if named else diff.quoted(key)
            yield from _walk(what, (*path, step), (ours, saved.get(key), there.get(key)), additions=additions)
        return
    if diff.same(three[1], three[2]) or (_is_empty(three[1]) and (_is_empty(three[2]) or not additions)):
        return
    yield _shown(what, path, three)


def _shown(what: str, path: tuple[str, ...], three: _Three) -> Difference:
    git, saved, there = (diff.display(one, path) for one in three)
    return Difference(what=what, path=diff.dotted(path), git=git, saved=saved, there=there)


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _without_source(document: Json) -> Json:
    """A project's; where a function takes its files from is its own business."""
    spec = document.get("spec")
    if document.get("kind") != "project" or not isinstance(spec, dict):
        return document
    return {**document, "spec": {key: value for key, value in spec.items() if key not in _SOURCE}}


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: v if k in USERS_WORDS else _stripped(v) for k, v in value.items() if k not in _MLRUNS_OWN}
    return [_stripped(item) for item in value] if isinstance(value, list) else value
