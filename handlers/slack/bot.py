"""A bot: one message a thing (a run, a sync), edited as news comes; what is long stands in its thread.

The memory holds where a thing's message stands, and the newest news that it shows, so that what arrives late undoes nothing. When
nobody knows whether a message left (an attempt without an answer, a crash before it was noted), the bot looks for it in the
channel: every message carries its thing's name in its metadata.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from handlers.memory import Memory, NoMemory, Note
from handlers.message import Message, Undelivered
from handlers.slack.blocks import Said, details, main, subject
from handlers.slack.trouble import GONE, LOOKS, Refused, Untaken

if TYPE_CHECKING:
    from handlers.slack.web import Client

log = logging.getLogger(__name__)

EVENT_TYPE = "mlrun_gitops"
_PAGE, _CHANNELS = 100, 999
# How much of a channel is looked through: what was said since shortly before the message was made.
_PAGES = 10
_BEFORE_S = 600.0
_IDS = ("C", "G", "D")
_CHANNEL = "channel"
# Where a message cannot be edited any more, each step of a run would be a message of its own.
_IN_PASSING = frozenset({"run.progress"})


class Bot:
    """The note of a thing: `channel` and `ts` of its message, `details` the ts of the reply, `newest` the id of the news that it
    shows; `since` is there while a message may have left unseen, at the earliest then."""

    def __init__(self, client: Client, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._told: set[str] = set()

    def send(self, message: Message, memory: Memory) -> None:
        thing = subject(message)
        note = memory.get(thing) or {}
        if str(note.get("newest", "")) > message.id:
            return  # people know what came after it
        if memory.doubt:
            note.setdefault("since", message.at)
        try:
            self._tell(thing, message, note, memory)
        except Untaken:
            raise
        except Undelivered:
            note.setdefault("since", message.at)
            raise
        finally:
            memory.put(thing, note)

    def check(self) -> str:
        said = self._client.auth_test()
        who = f"the token is of {said.get('user')} in {said.get('team')}"
        channel = self._id(NoMemory()) or self._look_up()
        if channel is None:
            return f"{who}; the channel's id in place of its name would let it look for messages after a crash"
        try:
            self._client.conversations_history(channel=channel, limit=1)
        except Refused as refused:
            if refused.code != "missing_scope":
                raise
            return f"{who}; it cannot look for messages after a crash: {refused}"
        return f"{who}, and sees the channel"

    def _tell(self, thing: str, message: Message, note: Note, memory: Memory) -> None:
        if "since" in note and "ts" not in note:
            self._adopt(thing, note, memory)
        try:
            self._say(thing, message, note)
        except Refused as refused:
            if refused.code not in GONE or "ts" not in note:
                raise
            if message.event in _IN_PASSING:
                return
            for place in ("ts", "details"):  # somebody deleted it, or it is too old to be edited
                note.pop(place, None)
            self._say(thing, message, note)
        if note["channel"] != self._channel:
            self._learn(note["channel"], memory)
        note["newest"] = message.id
        note.pop("since", None)

    def _say(self, thing: str, message: Message, note: Note) -> None:
        """The message, posted or edited, and its thread."""
        said = main(message)
        if "ts" in note:
            self._update(note["channel"], note["ts"], said, thing)
        else:
            note |= self._post(self._channel, said, thing)
        if (more := details(message)) is None:
            return
        if "since" in note and "details" not in note:
            self._adopt_details(thing, note)
        if "details" in note:
            try:
                self._update(note["channel"], note["details"], more, thing, part="details")
                return
            except Refused as refused:
                if refused.code not in GONE:
                    raise
        note["details"] = self._post(note["channel"], more, thing, part="details", thread=note["ts"])["ts"]

    # What Slack is asked.

    def _post(
        self, channel: str, said: Said, thing: str, *, part: str = "message", thread: str | None = None
    ) -> dict[str, str]:
        def call(blocks: list[dict[str, Any]] | None) -> Any:
            return self._client.chat_postMessage(
                channel=channel,
                text=said.text,
                blocks=blocks,
                thread_ts=thread,
                metadata=_metadata(thing, part),
                unfurl_links=False,
                unfurl_media=False,
                mrkdwn=False,
            )

        answer = _plain_if_need_be(call, said)
        return {"channel": str(answer["channel"]), "ts": str(answer["ts"])}

    def _update(self, channel: str, ts: str, said: Said, thing: str, part: str = "message") -> None:
        def call(blocks: list[dict[str, Any]] | None) -> Any:
            return self._client.chat_update(
                channel=channel, ts=ts, text=said.text, blocks=blocks, metadata=_metadata(thing, part)
            )

        _plain_if_need_be(call, said)

    # Looking before saying it again.

    def _adopt(self, thing: str, note: Note, memory: Memory) -> None:
        channel = self._id(memory) or self._look_up()
        if channel is None:
            self._once(
                f"the channel {self._channel} is not in the list of channels that the bot may see, so it cannot look whether a "
                "message is there already and it may come twice; write the channel's id into the handler's channel"
            )
            return
        found = self._find(thing, "message", note, channel)
        if found is not None:
            note |= {"channel": channel, "ts": found}

    def _adopt_details(self, thing: str, note: Note) -> None:
        found = self._find(thing, "details", note, note["channel"], thread=note["ts"])
        if found is not None:
            note["details"] = found

    def _find(self, thing: str, part: str, note: Note, channel: str, thread: str | None = None) -> str | None:
        """The ts of a message of ours about this thing."""
        cursor: str | None = None
        try:
            for _ in range(_PAGES):
                ask: dict[str, Any] = {
                    "channel": channel, "include_all_metadata": True, "limit": _PAGE, "cursor": cursor,
                }  # fmt: skip
                if thread is not None:
                    page = self._client.conversations_replies(ts=thread, **ask)
                else:
                    page = self._client.conversations_history(oldest=_before(str(note["since"])), **ask)
                for one in page.get("messages") or []:
                    if _is_ours(one, thing, part):
                        return str(one["ts"])
                cursor = (page.get("response_metadata") or {}).get("next_cursor")
                if not cursor:
                    return None
        except Refused as refused:
            if refused.code in GONE:
                return None
            self._once(f"the bot cannot look whether a message is there already, so it may come twice: {refused}")
        return None

    def _id(self, memory: Memory) -> str | None:
        """The channel's id: the methods that read take no names."""
        if self._channel.startswith(_IDS) and self._channel.isalnum() and self._channel.isupper():
            return self._channel
        known = memory.get(_CHANNEL) or {}
        return known.get("id") if known.get("name") == self._channel else None

    def _look_up(self) -> str | None:
        """The id of the channel that has this name, of those that the bot may list."""
        for kind in ("public_channel", "private_channel"):
            cursor: str | None = None
            try:
                for _ in range(_PAGES):
                    page = self._client.conversations_list(
                        types=kind, exclude_archived=True, limit=_CHANNELS, cursor=cursor
                    )
                    for one in page.get("channels") or []:
                        if one.get("name") == self._channel.removeprefix("#"):
                            return str(one["id"])
                    cursor = (page.get("response_metadata") or {}).get("next_cursor")
                    if not cursor:
                        break
            except Refused as refused:
                self._once(f"the bot cannot list channels ({kind}): {refused}")
        return None

    def _learn(self, channel: str, memory: Memory) -> None:
        known = {"name": self._channel, "id": channel}
        if memory.get(_CHANNEL) != known:
            memory.put(_CHANNEL, known)

    def _once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            log.warning("%s", words)


def _plain_if_need_be(call: Any, said: Said) -> Any:
    """A message whose looks Slack refuses goes as its plain text: the news counts."""
    try:
        return call(said.blocks)
    except Refused as refused:
        if refused.code not in LOOKS:
            raise
        log.warning("Slack refused the looks of a message (%s); its plain text goes", refused.code)
        return call(None)


def _metadata(thing: str, part: str) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {"about": thing, "part": part}}


def _is_ours(message: Any, thing: str, part: str) -> bool:
    metadata = message.get("metadata") if isinstance(message, dict) else None
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
        return False
    payload = metadata.get("event_payload") or {}
    return (payload.get("about"), payload.get("part")) == (thing, part)


def _before(at: str) -> str:
    """Slack's form of a time somewhat before `at`."""
    return f"{max(0.0, dt.datetime.fromisoformat(at).timestamp() - _BEFORE_S):.6f}"
