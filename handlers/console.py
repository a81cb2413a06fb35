"""Writes each message to the service's standard output: one clear line, its details indented below."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TextIO

from pydantic import BaseModel, ConfigDict

from handlers.message import Message, duration

_COLOURS = {"info": "32", "warning": "33", "error": "31"}
# A commit's subject is anybody's text: what moves a terminal's cursor, turns its text around or is no text is not printed.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Options(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Console:
    model: ClassVar[type[BaseModel]] = Options

    def __init__(self, options: Mapping[str, Any], stream: TextIO | None = None) -> None:
        Options.model_validate(dict(options))
        self._stream = stream

    def send(self, message: Message) -> None:
        """Whole messages, in one write: several threads may speak."""
        stream = self._stream or sys.stdout
        stream.write(text(message, colours=stream.isatty()))
        stream.flush()


def text(message: Message, *, colours: bool) -> str:
    severity = f"[{message.severity}]"
    if colours:
        severity = f"\x1b[{_COLOURS.get(message.severity, '0')}m{severity}\x1b[0m"
    lines = [" ".join(filter(None, (severity, message.event, _plain(message.title))))]
    for label, value in _details(message):
        first, *rest = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value).rstrip().split("\n")
        lines.append(f"    {_plain(label):<10} {first}")
        lines.extend(f"    {'':<10} {line}" for line in rest)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _details(message: Message) -> Iterator[tuple[str, str]]:
    if message.repository:
        yield "repository", " ".join(filter(None, (message.repository, message.ref)))
    if commit := message.commit:
        author = f"({commit['author']})" if commit.get("author") else ""
        yield "commit", " ".join(filter(None, (str(commit.get("sha", ""))[:12], commit.get("subject"), author)))
    if run := message.run:
        took = f"after {duration(run['duration_s'])}" if run.get("duration_s") is not None else ""
        yield "run", " ".join(filter(None, (run.get("id"), run.get("workflow"), run.get("state"), took)))
        yield from ((f"  {key}", str(value)) for key, value in (run.get("results") or {}).items())
        if run.get("error"):
            yield "error", _error(run["error"])
    for key, value in message.details.items():
        if value not in (None, "", [], {}):
            yield key, _error(value) if key == "error" else str(value)
    yield from message.links.items()


def _error(error: Any) -> str:
    """`{type, message, traceback}` or `{what, mend}` or plain words."""
    if not isinstance(error, dict):
        return str(error)
    head = ": ".join(str(error[key]) for key in ("type", "message", "what") if error.get(key))
    return "\n".join(str(part) for part in (head, error.get("mend"), error.get("traceback")) if part)


def _plain(line: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", line.replace("\n", " "))
