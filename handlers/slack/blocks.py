"""A message of ours as one of Slack's, pure: a headline, what it is about, what happened, where to look.

It is read on a phone: the headline says it all in a line, what follows is short, and what is long (a traceback, the log's end, all
results) is in `details`, for the thread. The sizes below add up to less than Slack takes in one message.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handlers.message import Message, duration
from handlers.slack import kit
from handlers.slack.headlines import headline
from handlers.slack.kit import Block, Piece

_NAME, _SUBJECT, _WHY = 80, 160, 450
_STEPS, _RESULTS, _ITEMS = 12, 5, 10
_MANY_RESULTS, _VALUE = 25, 120
_TRACEBACK, _LOG, _PLAN = 3000, 2500, 2500
_MARKS = {"running": "▶️", "succeeded": "✅", "failed": "❌", "unfinished": "⏹️"}
_BUTTONS = {"run": "Run", "sync": "Sync", "log": "Log", "diff": "Diff", "commit": "Commit"}


@dataclass(frozen=True, slots=True)
class Said:
    """`text` is what notifications show, and what is left when Slack refuses the blocks."""

    text: str
    blocks: list[Block]


def subject(message: Message) -> str:
    """The thing that has one message of Slack's, kept up to date: a run, a sync, else this message alone."""
    if message.run and message.run.get("id"):
        return _key(f"run/{message.run['id']}")
    if sync := message.details.get("sync"):
        return _key(f"sync/{sync}")
    return _key(f"message/{message.id}")


def main(message: Message) -> Said:
    """What stands in the channel."""
    return _said(message, [*_top(message), *_bottom(message)])


def details(message: Message) -> Said | None:
    """What stands in the thread; None where there is nothing more to say."""
    blocks = list(_details(message))
    return _said(message, blocks) if blocks else None


def whole(message: Message) -> Said:
    """Both in one, where there are no threads."""
    return _said(message, [*_top(message), *_details(message, beside=True), *_bottom(message)])


def _said(message: Message, blocks: list[Block]) -> Said:
    return Said(kit.escaped(f"{headline(message).emoji} {kit.line(message.title, 600)}"), blocks)


def _top(message: Message) -> Iterator[Block]:
    head = headline(message)
    yield kit.header(f"{head.emoji} {head.words}")
    yield from filter(None, (kit.text(kit.section(_commit(message))), _happened(message)))


def _bottom(message: Message) -> Iterator[Block]:
    links = message.links | ({"commit": message.commit["url"]} if message.commit and message.commit.get("url") else {})
    run = message.run or {}
    named = [f"run {run['id']}" if run.get("id") else "", message.repository or ""]
    named += [f"revision {message.details['revision']}" if message.details.get("revision") else ""]
    blocks = (
        kit.buttons((name, label, links.get(name)) for name, label in _BUTTONS.items()),
        kit.context(" · ".join(filter(None, (kit.line(one, _NAME) for one in named)))),
    )
    yield from filter(None, blocks)


# What it is about.


def _commit(message: Message) -> Iterator[Piece]:
    """`main` · a1b2c3d Better model, Ada"""
    commit = message.commit or {}
    if message.ref:
        yield kit.code(kit.line(_short(message.ref), _NAME))
        yield kit.plain("  ")
    if sha := commit.get("sha"):
        yield kit.link(commit.get("url"), kit.line(str(sha)[:7], 7), fixed=True)
    if commit.get("subject"):
        yield kit.plain(" " + kit.line(commit["subject"], _SUBJECT))
    if commit.get("author"):
        yield kit.faint(" by " + kit.line(commit["author"], _NAME))


# What happened.


def _happened(message: Message) -> Block | None:
    if message.run is not None:
        return _run(message.run)
    given = message.details
    return kit.text(
        kit.section(_schedule(given)),
        _why(given),
        kit.bullets([kit.code(kit.line(path, _VALUE))] for path in _few(given.get("paths"))),
        kit.bullets([kit.plain(kit.line(_moment(due), _VALUE))] for due in _few(given.get("due"))),
        kit.listing(kit.cut(kit.clean("\n".join(map(str, given.get("plan") or ()))), _PLAN)),
        kit.section([kit.faint("by " + kit.line(given["actor"], _NAME))]) if given.get("actor") else None,
    )


def _run(run: dict[str, Any]) -> Block | None:
    error = run.get("error") or {}
    state = str(run.get("state") or "")
    reason = error.get("message") or ("" if state in ("running", "succeeded") else run.get("reason"))
    kind, step = kit.line(error.get("type") or "", _NAME), kit.line(error.get("step") or "", _NAME)
    words = ": ".join(filter(None, (kind, kit.line(reason or "", _WHY))))
    took = f"took {duration(run['duration_s'])}" if run.get("duration_s") is not None else ""
    return kit.text(
        kit.quote(f"{step}: {words}" if step and words else words),
        kit.section(_steps(run)),
        kit.bullets(_results(run, _RESULTS)),
        kit.section([kit.faint(took)]) if took else None,
    )


def _steps(run: dict[str, Any]) -> Iterator[Piece]:
    """A line a step, the latest ones where there are many."""
    steps = run.get("steps") or []
    shown = steps[-_STEPS:]
    if hidden := len(steps) - len(shown) + int(run.get("steps_left_out") or 0):
        yield kit.faint(f"{hidden} earlier steps\n")
    for number, step in enumerate(shown, start=1):
        yield kit.plain(f"{_MARKS.get(str(step.get('state')), '•')} {kit.line(step.get('name') or '?', 60)}")
        took = step.get("duration_s")
        yield kit.faint(f"  {duration(took)}" if took is not None else "")
        yield kit.plain("\n" if number < len(shown) else "")


def _results(run: dict[str, Any], most: int) -> Iterator[list[Piece]]:
    """`name` value; what steps returned is `step.name`."""
    found = list(_flat(run.get("results") or {}))
    for name, value in found[:most]:
        yield [kit.plain(kit.line(name, 60) + "  "), kit.bold(kit.line(_value(value), _VALUE))]
    if len(found) > most:
        yield [kit.faint(f"and {len(found) - most} more")]


def _flat(results: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in results.items():
        if isinstance(value, dict) and value:
            yield from ((f"{name}.{inner}", one) for inner, one in value.items())
        else:
            yield str(name), value


def _value(value: Any) -> str:
    """As JSON has it, but for texts, which need no quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _schedule(given: dict[str, Any]) -> Iterator[Piece]:
    before, after = given.get("before"), given.get("after")
    for label, spec in (("was", before), ("now", after)):
        if isinstance(spec, dict):
            yield kit.plain(f"{label}  " if before and after else "")
            yield kit.code(kit.line(spec.get("cron") or "?", 100))
            where = f"{spec.get('timezone') or 'UTC'}, runs {spec.get('workflow') or '?'}"
            yield kit.plain("  " + kit.line(where, _VALUE))
            yield kit.plain("\n" if label == "was" and after else "")


def _why(given: dict[str, Any]) -> Block | None:
    error = given.get("error")
    if isinstance(error, dict):
        return kit.quote("\n".join(filter(None, (kit.line(error.get(k) or "", _WHY) for k in ("what", "mend")))))
    return kit.quote(kit.line(error or given.get("reason") or "", _WHY))


def _few(items: Any) -> list[str]:
    found = [str(item) for item in items or ()]
    return [*found[:_ITEMS], *([f"and {len(found) - _ITEMS} more"] if len(found) > _ITEMS else [])]


def _moment(text: str) -> str:
    """`Sun 1 Nov 2026, 01:00 UTC` of RFC 3339."""
    try:
        at = dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return text
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M} UTC"


# What is long.


def _details(message: Message, *, beside: bool = False) -> Iterator[Block]:
    """`beside` what stands above already: without the results, of which it has some."""
    run, error = message.run or {}, message.details.get("error")
    of_run = run.get("error") or {}
    traceback = of_run.get("traceback") or (error.get("detail") if isinstance(error, dict) else "")
    if run.get("results") and not beside:
        yield from _titled("Results", kit.bullets(_results(run, _MANY_RESULTS)))
    yield from _titled("Traceback", kit.listing(kit.end(kit.clean(traceback or "").strip("\n"), _TRACEBACK)))
    yield from _titled("The log's end", kit.listing(kit.end(kit.clean(run.get("log_tail") or "").strip("\n"), _LOG)))


def _titled(title: str, part: Block | None) -> Iterator[Block]:
    if part is not None and (block := kit.text(kit.section([kit.bold(title)]), part)):
        yield block


def _short(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/"):
        if ref.startswith(prefix):
            return ref.removeprefix(prefix)
    return ref


def _key(thing: str) -> str:
    return (
        thing if len(thing) <= 150 else f"{thing[:80]}/{hashlib.sha256(thing.encode('utf-8', 'replace')).hexdigest()}"
    )
