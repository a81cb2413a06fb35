"""A workspace as tests look at it: channels, their messages, who posted what when, and every answer that was a refusal."""

from __future__ import annotations

import copy
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.peers.slack import rules

SCOPES = ("chat:write", "channels:read", "channels:history", "groups:read", "groups:history")
TEAM = "T0PEER0001"
BOT_USER, BOT, APP = "U0PEERBOT1", "B0PEERBOT1", "A0PEERAPP1"


_ANSWERS = rules.ANSWERS.keys() | rules.WEBHOOK_ANSWERS.keys() | {limit.answer for limit in rules.LIMITS.values()}


class Refused(Exception):
    """A call that breaks a rule. `words` say which one, for people."""

    def __init__(self, answer: str, *words: str, **more: Any) -> None:
        super().__init__(answer, *words)
        assert answer in _ANSWERS, f"{answer} is in no table of rules"
        self.answer = answer
        self.words = words
        self.more = more


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused, to be asserted on: mostly that there is none."""

    method: str
    answer: str
    words: tuple[str, ...]


@dataclass(slots=True)
class Message:
    """`versions` holds what the message was before each edit. `by` is `bot`, or the path of a webhook."""

    ts: str
    by: str
    content: dict[str, Any]
    thread_ts: str | None = None
    broadcast: bool = False
    posted_at: float = 0.0
    versions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return str(self.content.get("text", ""))

    @property
    def blocks(self) -> list[dict[str, Any]]:
        return list(self.content.get("blocks") or [])

    @property
    def attachments(self) -> list[dict[str, Any]]:
        return list(self.content.get("attachments") or [])

    @property
    def metadata(self) -> dict[str, Any] | None:
        return self.content.get("metadata") or None

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass(slots=True)
class Channel:
    """`everything` is in the order of posting; `messages` are those that stand in the channel itself."""

    id: str
    name: str
    private: bool = False
    member: bool = True
    archived: bool = False
    everything: list[Message] = field(default_factory=list)

    @property
    def messages(self) -> list[Message]:
        return [message for message in self.everything if not message.is_reply]

    def thread(self, ts: str) -> list[Message]:
        """The replies, without their parent."""
        return [message for message in self.everything if message.is_reply and message.thread_ts == ts]

    def find(self, ts: str) -> Message | None:
        return next((message for message in self.everything if message.ts == ts), None)


class Workspace:
    """`clock` is what pacing goes by. `editable` false: the workspace lets nobody edit any more."""

    def __init__(
        self,
        *,
        token: str,
        scopes: tuple[str, ...] = SCOPES,
        paced: bool = True,
        mentions: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = token
        self.scopes = scopes
        self.mentions = mentions
        self.editable = True
        self.revoked: str | None = None
        self.channels: dict[str, Channel] = {}
        self.hooks: dict[str, str] = {}
        self.hook_trouble: dict[str, str] = {}
        self.refused: list[Refusal] = []
        self.lock = threading.RLock()
        self._clock = clock
        self._paced = paced
        self._spent: dict[tuple[str, str], float] = {}
        self._ids = itertools.count(1)
        self._last_ts = 0

    def add_channel(self, name: str, *, private: bool = False, member: bool = True, archived: bool = False) -> Channel:
        channel = Channel(f"C0PEER{next(self._ids):04}", name.removeprefix("#"), private, member, archived)
        self.channels[channel.id] = channel
        return channel

    def channel(self, name: str) -> Channel:
        """For tests: by name, with or without `#`."""
        return next(one for one in self.channels.values() if one.name == name.removeprefix("#"))

    def find_channel(self, given: str, *, by_name: bool) -> Channel:
        """As the bot sees it. Names are taken by chat.postMessage only."""
        found = self.channels.get(given)
        if found is None and by_name:
            found = next((one for one in self.channels.values() if one.name == given.removeprefix("#")), None)
        if found is None or (found.private and not found.member):
            raise Refused("channel_not_found", f"{given!r}" + ("" if by_name else "; an id is asked for here"))
        return found

    def pace(self, name: str, channel: str, pace: rules.Pace) -> int | None:
        """None: go on. Else the whole seconds to wait: a bucket of `burst` that gains one each `every_s`."""
        if not self._paced:
            return None
        key = (name, channel if pace.a_channel else "")
        with self.lock:
            now = self._clock()
            free_at = max(self._spent.get(key, now), now)
            if free_at - now > (pace.burst - 1) * pace.every_s:
                return int(free_at - now - (pace.burst - 1) * pace.every_s) + 1
            self._spent[key] = free_at + pace.every_s
        return None

    def post(
        self, channel: Channel, content: Mapping[str, Any], *, by: str, thread_ts: str | None, broadcast: bool
    ) -> Message:
        with self.lock:
            self._last_ts = max(self._last_ts + 1, int(time.time() * 1_000_000))
            ts = f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06}"
            message = Message(ts, by, self.kept(content), thread_ts, broadcast, time.time())
            channel.everything.append(message)
        return message

    def kept(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """As Slack keeps it: blocks and buttons without an id get one, plain texts are escaped (slackapi/bolt-python#513)."""
        kept = copy.deepcopy(dict(content))
        for block in kept.get("blocks") or []:
            block.setdefault("block_id", f"p{next(self._ids):04}")
            for element in [*(block.get("elements") or []), block.get("accessory") or {}]:
                if element.get("type") == "button":
                    element.setdefault("action_id", f"a{next(self._ids):04}")
            _escape(block)
        return kept

    def shown(self, message: Message, channel: Channel, *, metadata: bool) -> dict[str, Any]:
        """As the API shows it."""
        hook = message.by != "bot"
        shown: dict[str, Any] = {
            "type": "message",
            **({"subtype": "bot_message", "bot_id": "B0PEERHOOK"} if hook else {"user": BOT_USER, "bot_id": BOT}),
            "app_id": APP,
            "team": TEAM,
            "ts": message.ts,
            **{key: message.content[key] for key in ("text", "blocks", "attachments") if message.content.get(key)},
        }
        shown.setdefault("text", "")
        if metadata and message.metadata:
            shown["metadata"] = message.metadata
        replies = channel.thread(message.ts)
        if replies:
            shown |= {"thread_ts": message.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}
        if message.is_reply:
            shown["thread_ts"] = message.thread_ts
        if message.versions and not message.content.get("blocks"):
            shown["edited"] = {"user": BOT_USER, "ts": message.ts}
        return copy.deepcopy(shown)


def _escape(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _escape(item)
    elif isinstance(value, dict):
        if value.get("type") == "plain_text" and isinstance(value.get("text"), str):
            plain = value["text"].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            value["text"] = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        for item in value.values():
            _escape(item)


__all__ = ["SCOPES", "Channel", "Message", "Refusal", "Refused", "Workspace"]
