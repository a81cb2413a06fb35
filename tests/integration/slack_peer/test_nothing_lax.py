"""Every rule bites: for each code in the tables a call that meets it, and nothing of it is posted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.peers.slack import SlackPeer, rules

FORM = "application/x-www-form-urlencoded"
JSON = "application/json; charset=utf-8"
POST = "chat.postMessage"


class Caller:
    """Speaks HTTP without a client's good manners."""

    def __init__(self, peer: SlackPeer) -> None:
        self.peer = peer
        self.token: str | None = peer.token

    def post(self, method: str, body: Any, kind: str | None = JSON, query: str = "") -> dict[str, Any]:
        """`body` as JSON, but for bytes, which go as they are."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= {"content-type": kind} if kind else {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = httpx.post(self.peer.api_url + method + query, content=content, headers=headers, trust_env=False)
        self.status, self.headers = answer.status_code, answer.headers
        return dict(answer.json())

    def say(self, **also: Any) -> dict[str, Any]:
        return self.post(POST, {"channel": "#ml", "text": "x", **also})

    def block(self, *blocks: Any) -> dict[str, Any]:
        return self.say(blocks=list(blocks))


@pytest.fixture
def caller(slack: SlackPeer) -> Caller:
    return Caller(slack)


def section(text: str, **also: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **also}


def metadata(**payload: Any) -> dict[str, Any]:
    return {"event_type": "run", "event_payload": payload}


def _with(
    change: Callable[[Caller], Any], then: Callable[[Caller], dict[str, Any]]
) -> Callable[[Caller], dict[str, Any]]:
    def both(caller: Caller) -> dict[str, Any]:
        change(caller)
        return then(caller)

    return both


def _set(thing: object, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        assert hasattr(thing, name)
        setattr(thing, name, value)


def _workspace(**changes: Any) -> Callable[[Caller], Any]:
    return lambda caller: _set(caller.peer.workspace, changes)


def _channel(**changes: Any) -> Callable[[Caller], Any]:
    return lambda caller: _set(caller.peer.channel(), changes)


def _id(caller: Caller) -> str:
    return caller.peer.channel().id


def _update(caller: Caller, **also: Any) -> dict[str, Any]:
    return caller.post("chat.update", {"channel": _id(caller), "ts": caller.peer.messages()[0].ts, "text": "y", **also})


def _posted(caller: Caller) -> None:
    assert caller.say()["ok"]


def _hook(caller: Caller) -> None:
    httpx.post(caller.peer.webhook(), json={"text": "x"}, trust_env=False).raise_for_status()


def _reply(caller: Caller) -> dict[str, Any]:
    first = caller.say()["ts"]
    second = caller.say(thread_ts=first)["ts"]
    return caller.say(thread_ts=second)


OLD = "1405894322.002768"
BREACHES: list[tuple[str, Callable[[Caller], dict[str, Any]]]] = [
    ("unknown_method", lambda c: c.post("chat.delete", {})),
    ("unknown_method", lambda c: c.post("chat.postmessage", {})),
    ("not_authed", _with(lambda c: setattr(c, "token", None), Caller.say)),
    ("not_authed", _with(lambda c: setattr(c, "token", None), lambda c: c.say(token=c.peer.token))),
    ("invalid_auth", _with(lambda c: setattr(c, "token", "xoxb-other"), Caller.say)),
    ("invalid_auth", lambda c: c.post(POST, b"channel=%23ml&text=x", FORM, f"?token={c.peer.token}")),
    ("token_revoked", _with(_workspace(revoked="token_revoked"), Caller.say)),
    ("account_inactive", _with(_workspace(revoked="account_inactive"), Caller.say)),
    ("missing_scope", _with(_workspace(scopes=("channels:read",)), Caller.say)),
    ("missing_scope", lambda c: c.say(username="Boss")),
    ("missing_scope", _with(_workspace(scopes=()), lambda c: c.post("conversations.history", {"channel": _id(c)}))),
    ("invalid_arguments", lambda c: c.say(as_user=True)),
    ("invalid_arguments", lambda c: c.say(unfurl_links="yes")),
    ("invalid_arguments", lambda c: c.say(text=7)),
    ("invalid_arguments", lambda c: c.say(text="a < b")),
    ("invalid_arguments", lambda c: c.say(text="<!channel> look")),
    ("invalid_arguments", lambda c: c.post("conversations.history", {"channel": _id(c), "limit": 1000})),
    ("invalid_arguments", lambda c: c.post(POST, b"channel=%23ml&text=x&text=y", FORM)),
    ("invalid_arg_name", lambda c: c.say(**{"a-b": 1})),
    ("invalid_json", lambda c: c.post(POST, b"{")),
    ("json_not_object", lambda c: c.post(POST, [])),
    ("invalid_form_data", lambda c: c.post(POST, b"channel", FORM)),
    ("invalid_post_type", lambda c: c.post(POST, b"<x/>", "text/xml")),
    ("missing_post_type", lambda c: c.post(POST, b"{}", None)),
    ("invalid_charset", lambda c: c.post(POST, b"{}", "application/json; charset=utf-16")),
    ("request_timeout", lambda c: c.say(text="x" * 1_000_001)),
    ("channel_not_found", lambda c: c.say(channel="#nowhere")),
    ("channel_not_found", lambda c: c.say(channel="")),
    ("channel_not_found", lambda c: c.post("conversations.history", {"channel": "#ml"})),
    ("channel_not_found", _with(_channel(private=True, member=False), Caller.say)),
    ("not_in_channel", _with(_channel(member=False), Caller.say)),
    ("not_in_channel", _with(_channel(member=False), lambda c: c.post("conversations.history", {"channel": _id(c)}))),
    ("is_archived", _with(_channel(archived=True), Caller.say)),
    ("no_text", lambda c: c.say(text="")),
    ("no_text", lambda c: c.say(text="", blocks=[])),
    ("msg_too_long", lambda c: c.say(text="x" * 4001)),
    ("msg_too_long", lambda c: c.say(text="\N{PARTY POPPER}" * 2001)),
    ("invalid_blocks_format", lambda c: c.say(blocks="[]")),
    ("invalid_blocks", lambda c: c.block({"type": "nonsense"})),
    ("invalid_blocks", lambda c: c.block("x")),
    ("invalid_blocks", lambda c: c.block(section("x", colour="red"))),
    ("invalid_blocks", lambda c: c.block(section(""))),
    ("invalid_blocks", lambda c: c.block(*[{"type": "divider"}] * 51)),
    ("invalid_blocks", lambda c: c.block({"type": "header", "text": {"type": "mrkdwn", "text": "x"}})),
    (
        "invalid_blocks",
        lambda c: c.block({"type": "header", "text": {"type": "plain_text", "text": "x", "verbatim": True}}),
    ),
    ("invalid_blocks", lambda c: c.block({"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]})),
    ("invalid_blocks", lambda c: c.block(section("x", block_id="same"), section("y", block_id="same"))),
    ("invalid_blocks", lambda c: c.block(section("a & b"))),
    ("invalid_blocks", lambda c: c.block(section("if a > b:"))),
    ("invalid_blocks", lambda c: c.block(section("<script>"))),
    ("invalid_blocks", lambda c: c.block(section("<@U0000001>"))),
    ("invalid_blocks", lambda c: c.block(section("<javascript:alert(1)|here>"))),
    ("invalid_blocks", lambda c: c.block({"type": "actions", "elements": []})),
    ("invalid_blocks", lambda c: c.block({"type": "actions", "elements": [{"type": "button", "text": "x"}]})),
    ("invalid_blocks", lambda c: c.block({"type": "rich_text", "elements": [{"type": "text", "text": "x"}]})),
    ("msg_blocks_too_long", lambda c: c.block(*[section("x" * 2500)] * 4)),
    ("invalid_attachments", lambda c: c.say(attachments={})),
    ("invalid_attachments", lambda c: c.say(attachments=[{"color": "reddish", "text": "x"}])),
    ("invalid_attachments", lambda c: c.say(attachments=[{"blocks": [{"type": "nonsense"}]}])),
    ("too_many_attachments", lambda c: c.say(attachments=[{"text": "x"}] * 101)),
    ("invalid_metadata_format", lambda c: c.say(metadata={"event_type": "run"})),
    ("invalid_metadata_format", lambda c: c.say(metadata={"event_type": "a run", "event_payload": {}})),
    ("invalid_metadata_schema", lambda c: c.say(metadata=metadata(x=None))),
    ("metadata_too_large", lambda c: c.say(metadata=metadata(x="x" * 8000))),
    ("thread_not_found", lambda c: c.say(thread_ts=OLD)),
    ("thread_not_found", lambda c: c.say(thread_ts="yesterday")),
    ("thread_not_found", _reply),
    ("thread_not_found", lambda c: c.post("conversations.replies", {"channel": _id(c), "ts": OLD})),
    ("message_not_found", lambda c: c.post("chat.update", {"channel": _id(c), "ts": OLD, "text": "x"})),
    ("message_not_found", lambda c: c.post("chat.getPermalink", {"channel": _id(c), "message_ts": OLD})),
    ("cant_update_message", _with(_hook, _update)),
    ("edit_window_closed", _with(_posted, _with(_workspace(editable=False), _update))),
    ("is_inactive", _with(_posted, _with(_channel(archived=True), _update))),
    ("channel_not_found", _with(_posted, lambda c: _update(c, channel="#ml"))),
    ("no_text", _with(_posted, lambda c: _update(c, text=""))),
    ("invalid_ts_latest", lambda c: c.post("conversations.history", {"channel": _id(c), "latest": "now"})),
    ("invalid_ts_oldest", lambda c: c.post("conversations.history", {"channel": _id(c), "oldest": "0"})),
    ("invalid_cursor", lambda c: c.post("conversations.history", {"channel": _id(c), "cursor": "?"})),
    ("ratelimited", _with(_workspace(_paced=True), lambda c: [c.say() for _ in range(7)][-1])),
    ("internal_error", _with(lambda c: c.peer.faults.refuse("internal_error"), Caller.say)),
    ("fatal_error", _with(lambda c: c.peer.faults.refuse("fatal_error"), Caller.say)),
    ("service_unavailable", _with(lambda c: c.peer.faults.refuse("service_unavailable"), Caller.say)),
]


@pytest.mark.parametrize(("code", "breach"), BREACHES, ids=[f"{n}-{code}" for n, (code, _) in enumerate(BREACHES)])
def test_a_rule_that_is_broken_is_an_error(
    caller: Caller, code: str, breach: Callable[[Caller], dict[str, Any]]
) -> None:
    answer = breach(caller)
    assert (answer["ok"], answer["error"]) == (False, code)
    assert caller.status == (429 if code == "ratelimited" else 200), "Slack says no with a 200"
    last = caller.peer.messages()[-1:]
    assert all(message.text == "x" and not message.versions for message in last), "and nothing of it is there"


def test_every_code_of_the_tables_is_met() -> None:
    known = rules.ANSWERS.keys() | {limit.answer for limit in rules.LIMITS.values()}
    assert {code for code, _ in BREACHES} == known


def test_a_missing_scope_is_named(caller: Caller) -> None:
    answer = _with(_workspace(scopes=("channels:read",)), Caller.say)(caller)
    assert (answer["needed"], answer["provided"]) == ("chat:write", "channels:read")


def test_an_unset_charset_is_a_warning(caller: Caller) -> None:
    answer = caller.post(POST, {"channel": "#ml", "text": "x"}, "application/json")
    assert answer["ok"]
    assert answer["warning"] == "missing_charset"
    assert caller.post("auth.test", b"a=b", f"{FORM}; charset=utf-8")["warning"] == "superfluous_charset"


def test_blocks_without_the_text_of_a_notification_are_a_warning(caller: Caller) -> None:
    answer = caller.post(POST, {"channel": "#ml", "blocks": [section("x")]})
    assert answer["response_metadata"]["warnings"] == ["missing_text_in_message"]


@pytest.mark.parametrize(
    "text",
    ["a &lt; b &amp; c &gt; d", "<https://example.com/a?b=c|here>", "<https://example.com>", "> quoted\n>more", "&gt; no quote",
     "<!date^1392734382^{date_short}|2014-02-18>", "*bold* _it_ ~no~ `code` ```block```", "<mailto:a@b.c|write>"],
)  # fmt: skip
def test_what_is_escaped_or_meant_is_taken(caller: Caller, text: str) -> None:
    assert caller.block(section(text))["ok"]


def test_mentions_are_taken_where_they_are_allowed() -> None:
    with SlackPeer(mentions=True) as peer:
        assert Caller(peer).say(text="<!here> <@U000001> <#C000001|ml>")["ok"]


def test_a_reader_gets_plain_texts_escaped_and_ids_made(caller: Caller) -> None:
    button = {"type": "button", "text": {"type": "plain_text", "text": "a & b"}, "url": "https://example.com/"}
    caller.block({"type": "actions", "elements": [button]})
    [block] = caller.peer.messages()[0].blocks
    assert block["block_id"]
    assert block["elements"][0]["action_id"]
    assert block["elements"][0]["text"]["text"] == "a &amp; b"


def test_no_row_is_without_a_source() -> None:
    shapes = [*rules.BLOCKS.values(), *rules.OBJECTS.values()]
    rows: list[Any] = [
        *shapes,
        *(field for shape in shapes for field in shape.fields.values()),
        *rules.LIMITS.values(),
        *rules.METHODS.values(),
        *(method.pace for method in rules.METHODS.values()),
        *rules.WEBHOOK_ANSWERS.values(),
    ]
    sources = [row.source for row in rows] + list(rules.ANSWERS.values()) + list(rules.WARNINGS.values())
    assert len(sources) > 150
    vague = [source for source in sources if not any(word in source for word in ("docs: ", "sdk: ", "not found", "#"))]
    assert not vague


# --- faults --------------------------------------------------------------------------------------------------------


def test_a_fault_hits_the_calls_it_is_about_and_then_no_more(caller: Caller) -> None:
    caller.peer.faults.too_many(times=2, retry_after=7, method=POST, skip=1)
    assert caller.post("auth.test", b"", FORM)["ok"]
    assert caller.say()["ok"]
    for _ in range(2):
        assert caller.say()["error"] == "ratelimited"
        assert (caller.status, caller.headers["retry-after"]) == (429, "7")
    assert caller.say()["ok"]
    assert not caller.peer.refused, "a fault is nobody's breach"


def test_a_status_may_come_before_or_after_the_message(caller: Caller) -> None:
    for taken in (False, True):
        caller.peer.faults.status(503, taken=taken)
        with pytest.raises(json.JSONDecodeError):
            caller.say()
        assert (caller.status, len(caller.peer.messages())) == (503, int(taken))


@pytest.mark.parametrize("taken", [False, True])
def test_a_cut_leaves_the_caller_in_doubt(caller: Caller, taken: bool) -> None:
    caller.peer.faults.cut(taken=taken)
    with pytest.raises(httpx.RemoteProtocolError):
        caller.say()
    assert len(caller.peer.messages()) == int(taken)


def test_who_hangs_or_dribbles_never_ends(caller: Caller) -> None:
    address = caller.peer.api_url + POST
    body = {"channel": "#ml", "text": "x"}
    headers = {"authorization": f"Bearer {caller.token}"}
    caller.peer.faults.hang()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(address, json=body, headers=headers, timeout=0.2, trust_env=False)
    assert not caller.peer.messages()
    caller.peer.faults.dribble()
    with httpx.stream("POST", address, json=body, headers=headers, timeout=5, trust_env=False) as answer:
        beats = answer.iter_raw()
        assert [next(beats) for _ in range(3)]
    assert len(caller.peer.messages()) == 1


def test_a_bug_of_the_stand_in_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rules.METHODS, "api.test", None)
    with pytest.raises(ExceptionGroup, match="bugs"), SlackPeer() as peer, pytest.raises(httpx.RemoteProtocolError):
        Caller(peer).post("api.test", {})
