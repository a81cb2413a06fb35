"""`.gitops.yaml`: what a repository declares about its projects, read strictly.

`parse` is the front door. Every error names the line, the key, the value and the mend; an unknown key is an error,
with the known one that looks most like it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from service.domain import cron, subscriptions, yaml_guard
from service.domain.projects import (
    CatchUp,
    Concurrency,
    Declaration,
    Json,
    NotifyRule,
    RunnerRule,
    RunOn,
    RunRule,
    ScheduleRule,
)
from service.errors import CronError, GitopsFileError
from service.limits import PATTERN_BYTES, PATTERNS

FILE = ".gitops.yaml"
VERSION = 1

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PYTHON = re.compile(r"3\.[0-9]{1,2}")
_NAME = re.compile(r"[a-z0-9{]([-a-z0-9{}]*[a-z0-9}])?")
_TEXT_BYTES = 400
_NAME_BYTES = 63
_KEY_BYTES = 200


def parse(text: str | bytes) -> tuple[Declaration, ...]:
    """The projects of a `.gitops.yaml`, in its order. Raises GitopsFileError and nothing else."""
    document = yaml_guard.read(text, name=FILE, error=GitopsFileError)
    top = _At(document.value, (), document.lines)
    if document.value is None:
        top.fail("is empty", f"begin it with version: {VERSION}, or delete it")
    top.only("version", "projects")
    if (version := top.key("version")).value != VERSION or isinstance(version.value, bool):
        version.wrong("is not a version we know", mend=f"write version: {VERSION}")
    projects = top.key("projects")
    if projects.missing:
        return (Declaration(),)
    entries = [(entry, _declaration(entry)) for entry in projects.items()]
    _check_apart(entries)
    return tuple(declaration for _, declaration in entries)


def _declaration(at: _At) -> Declaration:
    at.only(
        "path", "name", "refs", "paths", "python", "run", "schedules", "runner", "notify", "setup_parameters", "prune"
    )
    run = at.key("run")
    declaration = Declaration(
        path=at.key("path").get(_At.folder, "."),
        name=at.key("name").get(_At.name, None),
        refs=at.key("refs").patterns(()),
        paths=at.key("paths").patterns(("**",)),
        python=at.key("python").get(_At.python, None),
        run=None if run.missing else tuple(_run_rule(rule) for rule in run.items()),
        schedules={name: _schedule(name, rule) for name, rule in at.key("schedules").entries()},
        runner=_runner(at.key("runner")),
        notify=tuple(_notify(rule) for rule in at.key("notify").items()),
        setup_parameters=at.key("setup_parameters").get(_At.json, {}),
        prune_functions=at.key("prune").get(_At.flag, False),
    )
    _check_refs(at, declaration)
    _check_runs(run, declaration)
    return declaration


def _run_rule(at: _At) -> RunRule:
    at.only("workflow", "on", "arguments", "concurrency")
    return RunRule(
        workflow=at.key("workflow").text(),
        on=at.key("on").choice(RunOn, RunOn.PUSH),
        arguments=at.key("arguments").get(_At.json, {}),
        concurrency=at.key("concurrency").choice(Concurrency, Concurrency.SUPERSEDE),
    )


def _schedule(name: str, at: _At) -> ScheduleRule:
    at.only("workflow", "cron", "timezone", "catch_up", "arguments")
    line, timezone = at.key("cron"), at.key("timezone").get(_At.text, "UTC")
    try:
        checked = cron.parse(line.text(), timezone)
    except CronError as error:
        (at.key("timezone") if "time zone" in error.what else line).fail(error.what, error.mend)
    return ScheduleRule(
        workflow=at.key("workflow").get(_At.text, name),
        cron=checked.expression,
        timezone=timezone,
        catch_up=at.key("catch_up").choice(CatchUp, CatchUp.LATEST),
        arguments=at.key("arguments").get(_At.json, {}),
    )


def _runner(at: _At) -> RunnerRule:
    if at.missing:
        return RunnerRule()
    at.only("launcher", "image", "requirements_file", "node_selector", "resources", "timeout")
    return RunnerRule(
        launcher=at.key("launcher").get(_At.text, None),
        image=at.key("image").get(_At.text, None),
        requirements_file=at.key("requirements_file").get(_At.folder, None),
        node_selector={name: label.text() for name, label in at.key("node_selector").entries()},
        resources=at.key("resources").get(_At.json, {}),
        timeout_s=at.key("timeout").get(_At.seconds, None),
    )


def _notify(at: _At) -> NotifyRule:
    at.only("to", "on")
    to, on = at.key("to"), at.key("on")
    topics = on.texts() if not on.missing else ("*",)
    for topic in topics:
        if not subscriptions.topics(topic):
            on.wrong(f"names no event: {topic!r}", mend=f"events are {subscriptions.examples()}")
    if "://" in to.text():
        to.wrong(
            "looks like an address", mend="name a handler of the operator's settings; addresses and secrets live there"
        )
    return NotifyRule(to=to.text(), on=topics)


def _check_refs(at: _At, declaration: Declaration) -> None:
    """One project name belongs to one ref: several need `{ref}` in the name; tags are nobody's name."""
    branches = [ref for ref in declaration.refs if not ref.removeprefix("refs/").startswith("tags/")]
    several = len(branches) > 1 or any(mark in ref for ref in branches for mark in "*?[")
    if several and "{ref}" not in (declaration.name or ""):
        at.key("refs").wrong(
            f"can match several branches, but the name {declaration.name or 'of the project'!r} is one",
            mend='give it a name with {ref}, for example name: "fraud-{ref}"',
        )
    on_tag = any(rule.on is RunOn.TAG for rule in declaration.run or ())
    if len(branches) < len(declaration.refs) and not on_tag:
        at.key("refs").wrong("names tags, but nothing runs on them", mend="add a run rule with on: tag")


def _check_runs(at: _At, declaration: Declaration) -> None:
    rules = declaration.run or ()
    for place, rule in zip(at.items(), rules, strict=True):
        if sum((other.workflow, other.on) == (rule.workflow, rule.on) for other in rules) > 1:
            place.fail(f"the workflow {rule.workflow!r} has two rules on: {rule.on.value}", "keep one of them")


def _check_apart(entries: Iterable[tuple[_At, Declaration]]) -> None:
    """Two entries must not be the same project."""
    names: set[str] = set()
    places: set[tuple[str, str]] = set()
    for at, declaration in entries:
        if declaration.name is not None and declaration.name in names:
            at.key("name").wrong("is the name of two projects", mend="give each its own")
        here = {(declaration.path, ref) for ref in declaration.refs or ("",)}
        if here & places:
            at.fail(
                f"two projects have the path {declaration.path!r} and the same ref", "give them different refs or paths"
            )
        places |= here
        names |= {declaration.name} if declaration.name is not None else set()


@dataclass(frozen=True, slots=True)
class _At:
    """A place in the file: its value, how to get there, and what to say when it is wrong."""

    value: Any
    path: yaml_guard.Path
    lines: Any
    missing: bool = False

    def fail(self, what: str, mend: str) -> NoReturn:
        place, path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path).lstrip("."), self.path
        while path and path not in self.lines:
            path = path[:-1]
        where = f"{FILE}, line {self.lines[path]}" if path in self.lines else FILE
        raise GitopsFileError(f"{where}: {place}: {what}" if place else f"{where}: {what}", mend=mend)

    def wrong(self, what: str, *, mend: str) -> NoReturn:
        self.fail("is missing" if self.missing else f"{_shown(self.value)} {what}", mend)

    def get(self, read: Callable[[_At], T], default: T) -> T:
        return default if self.missing or self.value is None else read(self)

    def key(self, name: str) -> _At:
        here = (*self.path, name)
        if isinstance(self.value, dict) and name in self.value:
            return _At(self.value[name], here, self.lines)
        return _At(None, here, self.lines, missing=True)

    def only(self, *known: str) -> None:
        for key in self.mapping():
            if key not in known:
                near = get_close_matches(key[:_KEY_BYTES], known, 1)
                mend = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}"
                _At(self.value[key], (*self.path, key), self.lines).fail("is no key we know", mend)

    def mapping(self) -> Json:
        if not isinstance(self.value, dict):
            self.wrong("is not a mapping", mend="write key: value pairs")
        return self.value

    def entries(self) -> list[tuple[str, _At]]:
        if self.missing or self.value is None:
            return []
        names = list(self.mapping())
        for name in names:
            if not name.strip() or len(name) > _KEY_BYTES or not name.isprintable():
                self.key(name).fail(
                    f"{name[:_KEY_BYTES]!r} is no name", f"use 1 to {_KEY_BYTES} letters, digits and signs"
                )
        return [(name, self.key(name)) for name in names]

    def items(self) -> list[_At]:
        if self.missing or self.value is None:
            return []
        if not isinstance(self.value, list):
            self.wrong("is not a list", mend="write one item a line, each with a dash in front")
        return [_At(item, (*self.path, at), self.lines) for at, item in enumerate(self.value)]

    def json(self) -> Json:
        return self.mapping()

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong("is neither true nor false", mend="write true or false")
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.wrong("is not a text", mend="write it in quotes" if self.value is not None else "give it a value")
        if not self.value.strip() or len(self.value) > _TEXT_BYTES or not self.value.isprintable():
            self.wrong("is empty, too long or holds control characters", mend=f"write 1 to {_TEXT_BYTES} letters")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """One text, or a list of them."""
        return (self.text(),) if isinstance(self.value, str) else tuple(item.text() for item in self.items())

    def choice(self, kind: type[Choice], default: Choice) -> Choice:
        if self.missing:
            return default
        if not isinstance(self.value, str) or self.value not in list(kind):
            self.wrong("is not one of the choices", mend=f"write {', '.join(kind)}")
        return kind(self.value)

    def seconds(self) -> float:
        found = _DURATION.fullmatch(str(self.value)) if not isinstance(self.value, bool) else None
        if not found or (seconds := float(found[1]) * _UNITS[found[2]]) <= 0:
            self.wrong("is no duration", mend="write for example 90s, 30m or 2h")
        return seconds

    def python(self) -> str:
        if not isinstance(self.value, str) or not _PYTHON.fullmatch(self.value):
            self.wrong("is no Python version", mend='write it in quotes, for example python: "3.11"')
        return self.value

    def name(self) -> str:
        text = self.text()
        if len(text) > _NAME_BYTES or not _NAME.fullmatch(text) or re.search(r"[{}]", text.replace("{ref}", "")):
            self.wrong(
                "is no project name",
                mend=f"use at most {_NAME_BYTES} lower-case letters, digits and dashes; {{ref}} stands for the branch",
            )
        return text

    def folder(self) -> str:
        """A relative path inside the repository, without `.` in it."""
        text = self.text()
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if text.startswith("/") or "\\" in text or ".." in parts or ".git" in parts:
            self.wrong("is no path inside the repository", mend="write it relative, without .. and .git")
        return "/".join(parts) or "."

    def patterns(self, default: tuple[str, ...]) -> tuple[str, ...]:
        if self.missing or self.value is None:
            return default
        found = self.texts()
        if len(found) > PATTERNS:
            self.fail(f"more than {PATTERNS} patterns", "write fewer, with ** and *")
        for pattern in found:
            if len(pattern) > PATTERN_BYTES or pattern in ("!", "/", "!/") or ".." in pattern.split("/"):
                self.wrong(
                    f"holds {pattern[:PATTERN_BYTES]!r}, which matches nothing",
                    mend="write globs such as src/** or !docs/**",
                )
        return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
