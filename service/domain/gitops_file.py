"""`.gitops.yaml`: what a repository declares about its projects, read strictly.

`parse` is the front door. Every error names the line, the key, the value and the mend; an unknown key is an error,
with the known one that looks most like it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Any

from service.domain import cron, image_ref, subscriptions, yaml_guard
from service.domain.events import Severity
from service.domain.place import Place
from service.domain.projects import (
    CatchUp,
    Concurrency,
    Declaration,
    NotifyRule,
    RunnerRule,
    RunOn,
    RunRule,
    ScheduleRule,
)
from service.errors import CronError, GitopsFileError, ImageError
from service.limits import PATTERN_BYTES, PATTERNS

FILE = ".gitops.yaml"
VERSION = 1

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PYTHON = re.compile(r"3\.[0-9]{1,2}")
_NAME = re.compile(r"[a-z0-9{]([-a-z0-9{}]*[a-z0-9}])?")
_NAME_BYTES = 63
# Kubernetes' own rules: apimachinery's resource.Quantity, and names of environment variables that every shell takes.
_QUANTITY = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# It stands in the image's Dockerfile as it is.
_TARGET_DIR = re.compile(r"[A-Za-z0-9._/-]{1,200}")
_RUNNERS_OWN = frozenset({"gitops", "proc", "sys", "dev"})


def parse(text: str | bytes) -> tuple[Declaration, ...]:
    """The projects of a `.gitops.yaml`, in its order. Raises GitopsFileError and nothing else."""
    document = yaml_guard.read(text, name=FILE, error=GitopsFileError)
    top = Place(document, document.value)
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


def _declaration(at: Place) -> Declaration:
    at.only(
        "path", "name", "refs", "paths", "python", "run", "schedules", "runner", "notify", "setup_parameters", "prune"
    )
    run = at.key("run")
    declaration = Declaration(
        path=at.key("path").get(_folder, "."),
        name=at.key("name").get(_name, None),
        refs=at.key("refs").get(_patterns, ()),
        paths=at.key("paths").get(_patterns, ("**",)),
        python=at.key("python").get(_python, None),
        run=None if run.missing or run.value is None else tuple(_run_rule(rule) for rule in run.items()),
        schedules={name: _schedule(name, rule) for name, rule in at.key("schedules").entries()},
        runner=_runner(at.key("runner")),
        notify=tuple(_notify(rule) for rule in at.key("notify").items()),
        setup_parameters=at.key("setup_parameters").get(Place.mapping, {}),
        prune_functions=at.key("prune").get(Place.flag, False),
    )
    _check_refs(at, declaration)
    _check_runs(run, declaration)
    return declaration


def _run_rule(at: Place) -> RunRule:
    at.only("workflow", "on", "arguments", "concurrency")
    return RunRule(
        workflow=at.key("workflow").text(),
        on=at.key("on").choice(RunOn, RunOn.PUSH),
        arguments=at.key("arguments").get(Place.mapping, {}),
        concurrency=at.key("concurrency").choice(Concurrency, Concurrency.SUPERSEDE),
    )


def _schedule(name: str, at: Place) -> ScheduleRule:
    at.only("workflow", "cron", "timezone", "catch_up", "arguments")
    line, timezone = at.key("cron"), at.key("timezone").get(Place.text, "UTC")
    try:
        checked = cron.parse(line.text(), timezone)
    except CronError as error:
        (at.key("timezone") if "time zone" in error.what else line).fail(error.what, error.mend)
    return ScheduleRule(
        workflow=at.key("workflow").get(Place.text, name),
        cron=checked.expression,
        timezone=timezone,
        catch_up=at.key("catch_up").choice(CatchUp, CatchUp.LATEST),
        arguments=at.key("arguments").get(Place.mapping, {}),
    )


def _runner(at: Place) -> RunnerRule:
    if at.missing:
        return RunnerRule()
    at.only(
        "launcher",
        "image",
        "requirements_file",
        "target_dir",
        "node_selector",
        "resources",
        "env",
        "volumes",
        "service_account",
        "timeout",
    )
    return RunnerRule(
        launcher=at.key("launcher").get(Place.text, None),
        image=at.key("image").get(_image, None),
        requirements_file=at.key("requirements_file").get(_folder, None),
        target_dir=at.key("target_dir").get(_target_dir, None),
        node_selector={name: label.text() for name, label in at.key("node_selector").entries()},
        resources=at.key("resources").get(_resources, {}),
        env={_env_name(at, name): value.text() for name, value in at.key("env").entries()},
        volumes={name: _mount(place) for name, place in at.key("volumes").entries()},
        service_account=at.key("service_account").get(Place.text, None),
        timeout_s=at.key("timeout").get(_seconds, None),
    )


def _notify(at: Place) -> NotifyRule:
    at.only("to", "on", "refs", "severity")
    to, on = at.key("to"), at.key("on")
    topics = on.texts() if not on.missing else ("*",)
    for topic in topics:
        if not subscriptions.topics(topic):
            on.wrong(f"names no event: {topic!r}", mend=f"events are {subscriptions.examples()}")
    if "://" in to.text():
        to.wrong(
            "looks like an address", mend="name a handler of the operator's settings; addresses and secrets live there"
        )
    severity = at.key("severity").choice(Severity, Severity.INFO)
    return NotifyRule(to=to.text(), on=topics, refs=at.key("refs").get(_patterns, ("*",)), severity=severity.value)


def _check_refs(at: Place, declaration: Declaration) -> None:
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


def _check_runs(at: Place, declaration: Declaration) -> None:
    rules = declaration.run or ()
    for place, rule in zip(at.items(), rules, strict=True):
        if sum((other.workflow, other.on) == (rule.workflow, rule.on) for other in rules) > 1:
            place.fail(f"the workflow {rule.workflow!r} has two rules on: {rule.on.value}", "keep one of them")


def _check_apart(entries: Iterable[tuple[Place, Declaration]]) -> None:
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


def _seconds(at: Place) -> float:
    found = _DURATION.fullmatch(str(at.value)) if not isinstance(at.value, bool) else None
    if not found or (seconds := float(found[1]) * _UNITS[found[2]]) <= 0:
        at.wrong("is no duration", mend="write for example 90s, 30m or 2h")
    return seconds


def _python(at: Place) -> str:
    if not isinstance(at.value, str) or not _PYTHON.fullmatch(at.value):
        at.wrong("is no Python version", mend='write it in quotes, for example python: "3.11"')
    return at.value


def _image(at: Place) -> str:
    try:
        return str(image_ref.parse(at.text()))
    except ImageError as error:
        at.fail(error.what, error.mend)


def _resources(at: Place) -> dict[str, Any]:
    """As a pod has them: requests and limits, each with quantities."""
    at.only("requests", "limits")
    for kind in ("requests", "limits"):
        for _, amount in at.key(kind).entries():
            if isinstance(amount.value, bool) or not _QUANTITY.fullmatch(str(amount.value)):
                amount.wrong("is no quantity", mend='write for example 500m, "2" or 4Gi')
    return {
        kind: {name: str(amount.value) for name, amount in at.key(kind).entries()}
        for kind in ("requests", "limits")
        if not at.key(kind).missing
    }


def _env_name(at: Place, name: str) -> str:
    if not _ENV_NAME.fullmatch(name):
        at.key("env").fail(f"{name!r} is no name of an environment variable", "use letters, digits and _")
    return name


def _target_dir(at: Place) -> str:
    """In the runner's image: absolute, or relative to its folder for code."""
    text = at.text()
    if not _TARGET_DIR.fullmatch(text) or ".." in text.split("/"):
        at.wrong("is no folder in an image", mend="write one such as ./project, with letters, digits, dots, _ and -")
    return _mount(at) if text.startswith("/") else _folder(at)


def _mount(at: Place) -> str:
    """Where in the runner's file system; not over what the runner itself needs."""
    text = at.text()
    path = posixpath.normpath("/" + text.lstrip("/"))  # two at the beginning would stay
    if not text.startswith("/") or path == "/" or path.split("/")[1] in _RUNNERS_OWN:
        at.wrong(
            "is no place for a volume",
            mend="write an absolute path such as /data, not below /gitops, /proc, /sys or /dev",
        )
    return path


def _name(at: Place) -> str:
    text = at.text()
    if len(text) > _NAME_BYTES or not _NAME.fullmatch(text) or re.search(r"[{}]", text.replace("{ref}", "")):
        at.wrong(
            "is no project name",
            mend=f"use at most {_NAME_BYTES} lower-case letters, digits and dashes; {{ref}} stands for the branch",
        )
    return text


def _folder(at: Place) -> str:
    """A relative path inside the repository, without `.` in it."""
    text = at.text()
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/") or "\\" in text or ".." in parts or ".git" in parts:
        at.wrong("is no path inside the repository", mend="write it relative, without .. and .git")
    return "/".join(parts) or "."


def _patterns(at: Place) -> tuple[str, ...]:
    found = at.texts()
    if len(found) > PATTERNS:
        at.fail(f"more than {PATTERNS} patterns", "write fewer, with ** and *")
    for pattern in found:
        plain = pattern.removeprefix("!")
        if len(pattern) > PATTERN_BYTES or plain in ("", "/") or ".." in plain.split("/"):
            at.wrong(
                f"holds {pattern[:PATTERN_BYTES]!r}, which matches nothing",
                mend="write globs such as src/** or !docs/**",
            )
    return found
