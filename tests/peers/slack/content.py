"""What a message is made of, held against the tables: each problem is an answer's code and Slack's words about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.peers.slack import rules
from tests.peers.slack.rules import Field, Shape

_SEQUENCE = re.compile(r"<([^<>\n]*)>")
_LINK = re.compile(r"(https?://[^\s|<>]+|mailto:[^\s|<>]+)(\|[^<>|]+)?")
_DATE = re.compile(r"!date\^-?\d+\^[^|<>]*(\|[^<>]+)")
_MENTION = re.compile(r"([@#][A-Z0-9]+|!(here|channel|everyone|subteam\^[A-Z0-9]+))(\|[^<>]*)?")
_ENTITY = re.compile(r"&(amp|lt|gt);")
_COLOUR = re.compile(r"good|warning|danger|#?[0-9a-fA-F]{6}|#?[0-9a-fA-F]{3}")
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    answer: str
    words: str


def length(text: str) -> int:
    """rules.COUNTED."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def problems_of(message: Mapping[str, Any], *, mentions: bool) -> list[Problem]:
    """All that is wrong with text, blocks, attachments and metadata of a message; what is absent is not looked at."""
    found: list[Problem] = []
    if (text := message.get("text")) is not None:
        found += _over("text", length(text))
        found += [Problem("invalid_arguments", f"{words} [json-pointer:/text]") for words in markup(text, mentions)]
    if (blocks := message.get("blocks")) is not None:
        found += _of_blocks(blocks, mentions)
    if (attachments := message.get("attachments")) is not None:
        found += _of_attachments(attachments, mentions)
    if (metadata := message.get("metadata")) is not None and metadata != {}:
        found += _of_metadata(metadata)
    return found


def markup(text: str, mentions: bool) -> Iterator[str]:
    """What in mrkdwn is no escaped text and no sequence that Slack understands: rules.ESCAPING, rules.MENTIONS."""
    for sequence in _SEQUENCE.findall(text):
        if _MENTION.fullmatch(sequence):
            if not mentions:
                yield f"<{sequence}> calls people"
        elif not (_LINK.fullmatch(sequence) or _DATE.fullmatch(sequence)):
            yield f"<{sequence}> is no link, date or mention; a `<` of the text is written &lt;"
    rest = _SEQUENCE.sub("", text)
    if "<" in rest:
        yield "a `<` is not escaped as &lt;"
    if ">" in re.sub(r"^> ?", "", rest, flags=re.MULTILINE):
        yield "a `>` is not escaped as &gt;"
    if "&" in _ENTITY.sub("", rest):
        yield "an `&` is not escaped as &amp;"
    if "\x00" in text:
        yield "a NUL character"


def _over(name: str, size: int, at: str = "") -> list[Problem]:
    limit = rules.LIMITS[name]
    if size <= limit.most:
        return []
    words = f"no more than {limit.most} items allowed" if name == "blocks" else f"{name}: {size}, at most {limit.most}"
    return [Problem(limit.answer, words + (f" [json-pointer:{at}]" if at else ""))]


def _of_blocks(blocks: Any, mentions: bool) -> list[Problem]:
    if not isinstance(blocks, list):
        return [Problem("invalid_blocks_format", "must be an array [json-pointer:/blocks]")]
    checker = _Checker(mentions)
    for number, block in enumerate(blocks):
        checker.typed(block, tuple(rules.BLOCKS), f"/blocks/{number}", rules.BLOCKS)
    found = [Problem("invalid_blocks", words) for words in checker.words]
    found += _over("blocks", len(blocks), "/blocks")
    if found:
        return found
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    found += [Problem("invalid_blocks", f"block_id {i!r} is not unique") for i in sorted(set(ids)) if ids.count(i) > 1]
    found += _over("characters of all blocks", sum(length(text) for text in texts_of(blocks)))
    found += _over("markdown in all blocks", sum(length(b["text"]) for b in blocks if b["type"] == "markdown"))
    return found


def texts_of(value: Any) -> Iterator[str]:
    """Every `text` of blocks that is a string: what people read."""
    if isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "text" and isinstance(item, str):
                yield item
            else:
                yield from texts_of(item)


def _of_attachments(attachments: Any, mentions: bool) -> list[Problem]:
    if not isinstance(attachments, list):
        return [Problem("invalid_attachments", "must be an array [json-pointer:/attachments]")]
    checker = _Checker(mentions)
    for number, attachment in enumerate(attachments):
        at = f"/attachments/{number}"
        checker.shape(attachment, rules.OBJECTS["attachment"], at)
        if isinstance(attachment, dict) and not _COLOUR.fullmatch(str(attachment.get("color", "good"))):
            checker.words.append(f"no colour [json-pointer:{at}/color]")
    found = [Problem("invalid_attachments", words) for words in checker.words]
    found += _over("attachments", len(attachments))
    if not found:
        found += _over("characters of all blocks", sum(length(text) for text in texts_of(attachments)))
    return found


def _of_metadata(metadata: Any) -> list[Problem]:
    if not isinstance(metadata, dict) or metadata.keys() != {"event_type", "event_payload"}:
        return [Problem("invalid_metadata_format", "event_type and event_payload, and nothing else")]
    event_type, payload = metadata["event_type"], metadata["event_payload"]
    if not isinstance(event_type, str) or not _EVENT_TYPE.fullmatch(event_type):
        return [Problem("invalid_metadata_format", "event_type is alphanumeric")]
    if not isinstance(payload, dict):
        return [Problem("invalid_metadata_format", "event_payload is an object")]
    found = _over("characters of event_type", len(event_type))
    found += [
        Problem("invalid_metadata_schema", f"{key}: a string, number, boolean, or objects or a list of these")
        for key, value in payload.items()
        if not _is_payload(value)
    ]
    return found + _over("bytes of metadata", len(json.dumps(metadata).encode()))


def _is_payload(value: Any) -> bool:
    """node-slack-sdk's MessageMetadataEventPayload: no null anywhere."""
    if isinstance(value, list):
        return all(_is_payload(item) for item in value)
    if isinstance(value, dict):
        return all(_is_payload(item) for item in value.values())
    return isinstance(value, (str, int, float, bool))


class _Checker:
    """Walks an object along its shape; `words` are the complaints, in Slack's form."""

    def __init__(self, mentions: bool) -> None:
        self.words: list[str] = []
        self._mentions = mentions

    def _say(self, words: str, at: str) -> None:
        self.words.append(f"{words} [json-pointer:{at}]")

    def typed(
        self, value: Any, allowed: tuple[str, ...], at: str, shapes: Mapping[str, Shape], each: int | None = None
    ) -> None:
        """An object that says by its `type` which of the allowed shapes it has."""
        if not isinstance(value, dict):
            return self._say("must be an object", at)
        if not isinstance(kind := value.get("type"), str):
            return self._say("missing required field: type", at)
        name = next((one for one in allowed if one.removeprefix("rich.") == kind), None)
        if name is None:
            return self._say(f"unsupported type: {kind}", f"{at}/type")
        self.shape(value, shapes[name], at, also=("type",))
        if each is not None and isinstance(text := value.get("text"), str) and length(text) > each:
            self._say(f"must be less than {each + 1} characters", f"{at}/text")
        return None

    def shape(self, value: Any, shape: Shape, at: str, also: tuple[str, ...] = ()) -> None:
        if not isinstance(value, dict):
            return self._say("must be an object", at)
        for key in value.keys() - shape.fields.keys() - set(also):
            self._say(f"invalid additional property: {key}", at)
        for key, field in shape.fields.items():
            if key in value:
                self._field(value[key], field, f"{at}/{key}")
            elif field.required:
                self._say(f"missing required field: {key}", at)
        given = [key for key in shape.one_of if key in value]
        if shape.one_of and (not given or (shape.only_one and len(given) > 1)):
            self._say(f"{'exactly' if shape.only_one else 'at least'} one of {', '.join(shape.one_of)}", at)
        return None

    def _field(self, value: Any, field: Field, at: str) -> None:
        match field.kind:
            case "string" | "url" | "mrkdwn" | "id":
                self._string(value, field, at)
            case "bool" | "number":
                if isinstance(value, bool) != (field.kind == "bool") or not isinstance(value, (bool, int, float)):
                    self._say(f"must be a {field.kind}", at)
            case "choice":
                if value not in field.of:
                    self._say(f"must be a valid enum value: {', '.join(field.of)}", at)
            case "plain_text":
                self._text(value, ("plain_text",), field, at)
            case "text":
                self._text(value, ("plain_text", "mrkdwn"), field, at)
            case "object":
                self._object(value, field, at)
            case "list":
                self._list(value, field, at)
            case "rows":
                self._rows(value, field, at)

    def _string(self, value: Any, field: Field, at: str) -> None:
        if not isinstance(value, str):
            return self._say("must be a string", at)
        if length(value) < field.least:
            self._say(f"must be more than {field.least - 1} characters", at)
        if field.most is not None and length(value) > field.most:
            self._say(f"must be less than {field.most + 1} characters", at)
        if field.kind == "url" and not re.fullmatch(r"https?://[^\s<>]+", value):
            self._say("must be a valid URL", at)
        if field.kind == "mrkdwn":
            for words in markup(value, self._mentions):
                self._say(words, at)
        if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
            self._say("is no Unicode: half a surrogate pair", at)
        return None

    def _text(self, value: Any, kinds: tuple[str, ...], field: Field, at: str) -> None:
        before = len(self.words)
        self.typed(value, kinds, at, rules.OBJECTS)
        if len(self.words) == before and field.most is not None and length(value["text"]) > field.most:
            self._say(f"must be less than {field.most + 1} characters", f"{at}/text")
        if len(self.words) > before:
            self._say("failed to match all allowed schemas", at)

    def _object(self, value: Any, field: Field, at: str) -> None:
        [name, *more] = field.of
        if not more and name in rules.UNTYPED:
            return self.shape(value, rules.OBJECTS[name], at)
        return self.typed(value, field.of, at, rules.OBJECTS)

    def _list(self, value: Any, field: Field, at: str) -> None:
        if not isinstance(value, list):
            return self._say("must be an array", at)
        self._count(value, field, at)
        for number, item in enumerate(value):
            place = f"{at}/{number}"
            if field.of == ("string",):
                self._string(item, Field(kind="string", source=field.source), place)
            elif len(field.of) == 1 and field.of[0] in rules.UNTYPED:
                self.shape(item, rules.OBJECTS[field.of[0]], place)
            elif field.of == tuple(rules.BLOCKS):
                self.typed(item, field.of, place, rules.BLOCKS)
            else:
                self.typed(item, field.of, place, rules.OBJECTS, field.each)
        actions = [item["action_id"] for item in value if isinstance(item, dict) and "action_id" in item]
        if len(actions) != len(set(map(str, actions))):
            self._say("action_id is not unique", at)
        return None

    def _rows(self, value: Any, field: Field, at: str) -> None:
        if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
            return self._say("must be an array of arrays", at)
        self._count(value, field, at)
        for number, row in enumerate(value):
            self._list(row, Field(kind="list", source=field.source, most=field.each, of=field.of), f"{at}/{number}")
        return None

    def _count(self, value: list[Any], field: Field, at: str) -> None:
        if len(value) < field.least:
            self._say(f"must have at least {field.least} items", at)
        if field.most is not None and len(value) > field.most:
            self._say(f"no more than {field.most} items allowed", at)
