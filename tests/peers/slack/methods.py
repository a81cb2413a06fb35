"""The Web API's methods: arguments as the tables have them, in; a message's fate, out."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.peers.slack import rules
from tests.peers.slack.content import problems_of
from tests.peers.slack.rules import Argument
from tests.peers.slack.workspace import BOT, BOT_USER, TEAM, Channel, Message, Refused, Workspace

_TS = re.compile(r"\d{10}\.\d{6}")
_CONTENT = ("text", "blocks", "attachments", "metadata")
Arguments = dict[str, Any]


def call(workspace: Workspace, name: str, raw: Mapping[str, Any], *, form: bool) -> dict[str, Any]:
    """The answer of a method that may be called; raises Refused. `raw` are its arguments as a form's strings or as JSON."""
    method = rules.METHODS[name]
    arguments = read_arguments(method.arguments, raw, form=form)
    channel = None
    if "channel" in arguments:
        channel = workspace.find_channel(arguments["channel"], by_name=name == "chat.postMessage")
    _may(workspace, method, channel, arguments)
    wait = workspace.pace(name, channel.id if channel else "", method.pace)
    if wait is not None:
        raise Refused(
            "ratelimited", f"{name}: {method.pace.burst} at once, then one each {method.pace.every_s:g} s", wait=wait
        )
    with workspace.lock:
        return _CALLS[name](workspace, channel, arguments)


def read_arguments(known: Mapping[str, Argument], raw: Mapping[str, Any], *, form: bool) -> Arguments:
    """Each argument in its kind; raises Refused for any that is unknown, missing or of another kind."""
    read: Arguments = {}
    for key, value in raw.items():
        if not re.fullmatch(r"\w{1,64}", key):
            raise Refused("invalid_arg_name", key[:80])
        if key not in known:
            raise Refused("invalid_arguments", f"no such argument: {key}")
        read[key] = _value(key, known[key].kind, value, form=form)
    for key, argument in known.items():
        if argument.required and not read.get(key):
            code = {"channel": "channel_not_found"}.get(argument.kind, "invalid_arguments")
            raise Refused(code, f"missing required field: {key}")
    return read


def _value(key: str, kind: str, value: Any, *, form: bool) -> Any:
    wrong = Refused("invalid_arguments", f"{key}: not a {kind}: {str(value)[:80]!r}")
    if kind in ("blocks", "attachments", "metadata"):
        if not form:
            return value
        try:
            return json.loads(value)
        except ValueError:
            code = (
                "invalid_metadata_format" if kind == "metadata" else f"invalid_{kind}" + "_format" * (kind == "blocks")
            )
            raise Refused(code, f"{key} is no JSON") from None
    if kind == "bool":
        if form and value in ("true", "false", "1", "0"):
            return value in ("true", "1")
        if isinstance(value, bool):
            return value
        raise wrong
    if kind == "number":
        if not re.fullmatch(r"\d{1,9}", str(value)) or isinstance(value, bool):
            raise wrong
        return int(value)
    if not isinstance(value, str):
        raise wrong
    if kind == "ts" and not _TS.fullmatch(value):
        code = {
            "latest": "invalid_ts_latest", "oldest": "invalid_ts_oldest", "ts": "message_not_found",
            "thread_ts": "thread_not_found", "message_ts": "message_not_found",
        }[key]  # fmt: skip
        raise Refused(code, f"{key}: {value[:40]!r} is no time stamp such as 1405894322.002768")
    return value


def _may(workspace: Workspace, method: rules.Method, channel: Channel | None, arguments: Arguments) -> None:
    scopes = method.scopes or {}
    kind = "private" if channel is not None and channel.private else "public"
    needed = scopes.get("any") or scopes.get(kind)
    if needed and needed not in workspace.scopes:
        raise _missing(workspace, needed)
    if any(key in arguments for key in rules.CUSTOMIZE) and "chat:write.customize" not in workspace.scopes:
        raise _missing(workspace, "chat:write.customize")


def _missing(workspace: Workspace, needed: str) -> Refused:
    return Refused("missing_scope", needed, needed=needed, provided=",".join(workspace.scopes))


def content_of(arguments: Arguments) -> dict[str, Any]:
    return {key: arguments[key] for key in _CONTENT if key in arguments}


def accept(workspace: Workspace, content: Mapping[str, Any]) -> None:
    """Raises Refused for a message that breaks a rule, and for one that says nothing."""
    if problems := problems_of(content, mentions=workspace.mentions):
        first = problems[0].answer
        raise Refused(first, *(problem.words for problem in problems if problem.answer == first))
    if not any(content.get(key) for key in ("text", "blocks", "attachments")):
        raise Refused("no_text", "no text, no blocks, no attachments")


def parent_of(channel: Channel, thread_ts: str | None) -> None:
    if thread_ts is None:
        return
    parent = channel.find(thread_ts)
    if parent is None or parent.is_reply:
        raise Refused("thread_not_found", f"{thread_ts}: " + ("is a reply itself" if parent else "no such message"))


# --- methods, each with its answer -------------------------------------------------------------------------------


def _api_test(_: Workspace, __: Channel | None, arguments: Arguments) -> dict[str, Any]:
    return {"args": arguments}


def _auth_test(workspace: Workspace, _: Channel | None, __: Arguments) -> dict[str, Any]:
    return {
        "url": "https://peer.slack.com/", "team": "Peer", "user": "gitops", "team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT,
        "is_enterprise_install": False,
    }  # fmt: skip


def _post(workspace: Workspace, channel: Channel | None, arguments: Arguments) -> dict[str, Any]:
    assert channel is not None
    if channel.archived:
        raise Refused("is_archived", channel.name)
    if not channel.member and "chat:write.public" not in workspace.scopes:
        raise Refused("not_in_channel", f"invite the bot to #{channel.name}")
    content = content_of(arguments)
    accept(workspace, content)
    thread_ts, broadcast = arguments.get("thread_ts"), arguments.get("reply_broadcast", False)
    parent_of(channel, thread_ts)
    message = workspace.post(channel, content, by="bot", thread_ts=thread_ts, broadcast=broadcast)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "message": workspace.shown(message, channel, metadata=True),
        **_without_text(arguments),
    }


def _update(workspace: Workspace, channel: Channel | None, arguments: Arguments) -> dict[str, Any]:
    assert channel is not None
    message = channel.find(arguments["ts"])
    if message is None:
        raise Refused("message_not_found", arguments["ts"])
    if channel.archived:
        raise Refused("is_inactive", channel.name)
    if message.by != "bot":
        raise Refused("cant_update_message", f"posted by {message.by}")
    if not workspace.editable:
        raise Refused("edit_window_closed")
    given = content_of(arguments)
    if not any(key in given for key in ("text", "blocks", "attachments")):
        raise Refused("no_text", "nothing to update")
    # chat.update, Arguments: what is not given is retained, but that a text without blocks removes the blocks.
    kept = {key: value for key, value in message.content.items() if key not in ("text", "blocks") or key in given}
    if "text" not in given and "blocks" not in given:
        kept = dict(message.content)
    content = {**kept, **given}
    accept(workspace, {**{k: v for k, v in content.items() if v not in ([], {})}})
    message.versions.append(message.content)
    message.content = workspace.kept(content)
    shown = workspace.shown(message, channel, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown, **_without_text(arguments)}


def _without_text(arguments: Arguments) -> dict[str, Any]:
    """Blocks alone leave the notification on a phone's lock screen empty."""
    return {"warnings": ["missing_text_in_message"]} if "blocks" in arguments and not arguments.get("text") else {}


def _permalink(_: Workspace, channel: Channel | None, arguments: Arguments) -> dict[str, Any]:
    assert channel is not None
    if channel.find(arguments["message_ts"]) is None:
        raise Refused("message_not_found", arguments["message_ts"])
    digits = arguments["message_ts"].replace(".", "")
    return {"channel": channel.id, "permalink": f"https://peer.slack.com/archives/{channel.id}/p{digits}"}


def _info(_: Workspace, channel: Channel | None, __: Arguments) -> dict[str, Any]:
    assert channel is not None
    return {"channel": _channel(channel)}


def _list(workspace: Workspace, _: Channel | None, arguments: Arguments) -> dict[str, Any]:
    types = (arguments.get("types") or "public_channel").split(",")
    if unknown := set(types) - {"public_channel", "private_channel", "mpim", "im"}:
        raise Refused("invalid_arguments", f"types: {', '.join(sorted(unknown))}")
    if "private_channel" in types and "groups:read" not in workspace.scopes:
        raise _missing(workspace, "groups:read")
    found = [
        _channel(one)
        for one in workspace.channels.values()
        if ("private_channel" if one.private else "public_channel") in types
        and (one.member or not one.private)
        and not (one.archived and arguments.get("exclude_archived"))
    ]
    return _page(found, "channels", arguments)


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id, "name": channel.name, "name_normalized": channel.name, "is_channel": not channel.private,
        "is_private": channel.private, "is_archived": channel.archived, "is_member": channel.member,
    }  # fmt: skip


def _history(workspace: Workspace, channel: Channel | None, arguments: Arguments) -> dict[str, Any]:
    assert channel is not None
    _reads(channel)
    there = [m for m in reversed(channel.everything) if (not m.is_reply or m.broadcast) and _within(m, arguments)]
    return _messages(workspace, channel, there, arguments)


def _replies(workspace: Workspace, channel: Channel | None, arguments: Arguments) -> dict[str, Any]:
    assert channel is not None
    _reads(channel)
    parent = channel.find(arguments["ts"])
    if parent is None:
        raise Refused("thread_not_found", arguments["ts"])
    replies = [m for m in channel.thread(parent.thread_ts or parent.ts) if _within(m, arguments)]
    return _messages(workspace, channel, [parent, *replies], arguments)


def _reads(channel: Channel) -> None:
    if not channel.member:
        raise Refused("not_in_channel", channel.name)


def _within(message: Message, arguments: Arguments) -> bool:
    oldest, latest = arguments.get("oldest", ""), arguments.get("latest", "9" * 20)
    if arguments.get("inclusive"):
        return bool(oldest <= message.ts <= latest)
    return bool(oldest < message.ts < latest)


def _messages(workspace: Workspace, channel: Channel, found: list[Message], arguments: Arguments) -> dict[str, Any]:
    metadata = arguments.get("include_all_metadata", False)
    return _page([workspace.shown(one, channel, metadata=metadata) for one in found], "messages", arguments)


def _page(found: list[Any], name: str, arguments: Arguments) -> dict[str, Any]:
    limit = arguments.get("limit", 100)
    if not 0 < limit <= rules.PAGE_MOST:
        raise Refused("invalid_arguments", f"limit: 1 to {rules.PAGE_MOST}")
    start = 0
    if cursor := arguments.get("cursor"):
        try:
            start = int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
        except (binascii.Error, ValueError):
            raise Refused("invalid_cursor", cursor[:40]) from None
    rest = len(found) > start + limit
    after = base64.b64encode(f"next:{start + limit}".encode()).decode() if rest else ""
    return {name: found[start : start + limit], "has_more": rest, "response_metadata": {"next_cursor": after}}


_CALLS: dict[str, Callable[[Workspace, Channel | None, Arguments], dict[str, Any]]] = {
    "api.test": _api_test,
    "auth.test": _auth_test,
    "chat.postMessage": _post,
    "chat.update": _update,
    "chat.getPermalink": _permalink,
    "conversations.info": _info,
    "conversations.list": _list,
    "conversations.history": _history,
    "conversations.replies": _replies,
}
assert _CALLS.keys() == rules.METHODS.keys(), "a method is a row and a function"
