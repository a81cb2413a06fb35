"""YAML that somebody else wrote, read safely.

Size, depth, nodes and aliases are counted on the parser's events, an alias at the size of what it stands for, so a
bomb is refused before anything is built. What is built is plain JSON: strings, numbers, booleans, null, lists, and
mappings whose keys are the text as written, each only once. The scalars are YAML 1.2's: `on` and `no` are words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, NodeEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from service.errors import ProjectError
from service.limits import KIB, REPOSITORY_FILE_BYTES, YAML_ALIASES, YAML_DEPTH, YAML_NODES

Path = tuple[str | int, ...]

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_TAGS = frozenset(
    _CORE + kind for kind in ("null", "bool", "int", "float", "str", "seq", "map", "merge", "timestamp", "value")
)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_INT_DIGITS = 18  # what 64 bits hold
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text says, on which line (from 1) each of its values stands, and how its faults are told."""

    value: Any
    lines: Mapping[Path, int]
    name: str
    error: type[ProjectError]


class _Refused(Exception):
    def __init__(self, what: str, line: int | None = None, mend: str = "") -> None:
        super().__init__(what)
        self.what, self.line, self.mend = what, line, mend


def read(text: str | bytes, *, name: str, error: type[ProjectError], foreign_tags: bool = False) -> Document:
    """The one document of `text`. Raises `error`, which names the file, the line, the reason and the mend.

    With `foreign_tags` a tag such as `!!python/tuple` is overlooked and its value read as plain YAML.
    """
    try:
        plain = _decode(text)
        _count(plain)
        value, lines = _build(plain, foreign_tags=foreign_tags)
        return Document(value, lines, name, error)
    except _Refused as refused:
        where = f"{name}, line {refused.line}" if refused.line else name
        raise error(f"{where}: {refused.what}", mend=refused.mend) from None
    except yaml.YAMLError as bad:
        raise error(
            f"{name}{_where(bad)}: not valid YAML: {_reason(bad)}", mend="check it with a YAML linter"
        ) from None


def _decode(text: str | bytes) -> str:
    size = len(text)
    if size > REPOSITORY_FILE_BYTES:
        raise _Refused(f"larger than {REPOSITORY_FILE_BYTES // KIB} KiB", mend="make it smaller")
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        plain.encode()
    except UnicodeError:
        raise _Refused("not UTF-8", mend="save it as UTF-8") from None
    return plain


@dataclass(slots=True)
class _Count:
    """Adds up a document event by event, and refuses it when it grows past the limits."""

    nodes: int = 0
    aliases: int = 0
    sizes: dict[str, int] = field(default_factory=dict)  # anchor → nodes, aliases written out
    begun: list[tuple[str | None, int]] = field(default_factory=list)  # open collections: anchor, nodes before it

    def add(self, event: Event) -> None:
        if isinstance(event, AliasEvent):
            if event.anchor not in self.sizes:
                raise _Refused(f"the alias *{event.anchor} stands for itself or for nothing", _line(event))
            self.aliases += 1
            self.nodes += self.sizes[event.anchor]
        elif isinstance(event, CollectionStartEvent):
            self.begun.append((event.anchor, self.nodes))
            self.nodes += 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = self.begun.pop()
            self.sizes |= {anchor: self.nodes - before} if anchor is not None else {}
        elif isinstance(event, NodeEvent):
            self.nodes += 1
            self.sizes |= {event.anchor: 1} if event.anchor is not None else {}

    def check(self, event: Event) -> None:
        if len(self.begun) > YAML_DEPTH:
            raise _Refused(f"nested deeper than {YAML_DEPTH}", _line(event), "flatten it")
        if self.aliases > YAML_ALIASES:
            raise _Refused(f"more than {YAML_ALIASES} aliases", _line(event), "write the values out")
        if self.nodes > YAML_NODES:
            raise _Refused(f"more than {YAML_NODES} values, aliases written out", _line(event), "make it smaller")


def _count(text: str) -> None:
    count = _Count()
    for event in _events(text):
        count.add(event)
        count.check(event)


def _events(text: str) -> Iterator[Event]:
    loader = _Loader(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


def _build(text: str, *, foreign_tags: bool) -> tuple[Any, dict[Path, int]]:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    finally:
        loader.dispose()
    lines: dict[Path, int] = {}
    return None if root is None else _Builder(lines, foreign_tags).value(root, ()), lines


@dataclass(slots=True)
class _Builder:
    lines: dict[Path, int]
    foreign_tags: bool

    def value(self, node: Node, path: Path) -> Any:
        self.lines[path] = _line(node)
        if not self.foreign_tags and node.tag not in _TAGS:
            raise _Refused(f"the tag {node.tag} is not taken", _line(node), "write plain YAML")
        if isinstance(node, ScalarNode):
            return _scalar(node)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, at)) for at, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        return self.mapping(node, path)

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise _Refused("a key is a list or a mapping", _line(key_node), "use plain words as keys")
            key = str(key_node.value)
            if key == "<<" and not key_node.style:
                merged |= self.merge(value_node, path)
                continue
            if key in found:
                raise _Refused(f"the key {key!r} stands here twice", _line(key_node), "keep one of them")
            found[key] = self.value(value_node, (*path, key))
            self.lines[(*path, key)] = _line(key_node)
        return merged | found

    def merge(self, node: Node, path: Path) -> dict[str, Any]:
        """`<<: *defaults`: what is written in the mapping itself wins, then the first of several."""
        merged: dict[str, Any] = {}
        for part in reversed(node.value) if isinstance(node, SequenceNode) else [node]:
            if not isinstance(part, MappingNode):
                raise _Refused("<< takes mappings only", _line(node))
            merged |= self.mapping(part, path)
        return merged


def _scalar(node: ScalarNode) -> Any:
    text = str(node.value)
    meant_as_text = node.tag == _CORE + "str" and (text in _WORDS or _INT.fullmatch(text))  # `!!str 5`
    if node.style or meant_as_text:  # a plain scalar has no style
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        if len(text.lstrip("+-")) > _INT_DIGITS:
            raise _Refused(f"the number {text[:40]} is too large", _line(node), "write it in quotes")
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise _Refused(f"the number {text[:40]} is too large", _line(node), "write it in quotes")
        return number
    return text


def _line(place: Event | Node) -> int:
    return int(place.start_mark.line) + 1 if place.start_mark is not None else 1


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f", line {mark.line + 1}" if mark is not None else ""


def _reason(error: yaml.YAMLError) -> str:
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    return str(said)[:200]
