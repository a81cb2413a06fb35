"""Incoming webhooks: a secret path, one message in, one word out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.peers.slack import rules
from tests.peers.slack.methods import accept, content_of, parent_of, read_arguments
from tests.peers.slack.workspace import Refused, Workspace


def take(workspace: Workspace, path: str, payload: Any) -> None:
    """Posts what came to the webhook at `path`. Raises Refused."""
    channel_id = workspace.hooks.get(path)
    if channel_id is None:
        raise Refused("no_service", "no webhook has this path")
    if path in workspace.hook_trouble:
        raise Refused(workspace.hook_trouble[path])
    channel = workspace.channels[channel_id]
    if channel.archived:
        raise Refused("channel_is_archived", channel.name)
    if not isinstance(payload, Mapping):
        raise Refused("invalid_payload", "a JSON object")
    wait = workspace.pace("webhook", channel.id, rules.POSTING)
    if wait is not None:
        raise Refused("rate_limited", "one message a second", wait=wait)
    try:
        arguments = read_arguments(rules.WEBHOOK_FIELDS, payload, form=False)
    except Refused as refused:
        raise Refused("invalid_payload", *refused.words) from None
    thread_ts = arguments.pop("thread_ts", None)
    content = content_of(arguments)
    with workspace.lock:
        try:
            accept(workspace, content)
            parent_of(channel, thread_ts)
        except Refused as refused:
            known = refused.answer if refused.answer in rules.WEBHOOK_ANSWERS else "invalid_payload"
            raise Refused(known, *refused.words) from None
        workspace.post(channel, content, by=path, thread_ts=thread_ts, broadcast=False)
