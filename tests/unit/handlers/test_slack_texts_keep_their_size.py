"""Any text at all becomes a message that Slack takes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from handlers import Message
from handlers.slack import blocks, kit
from tests.peers.slack.content import length, problems_of

# Half a surrogate pair cannot be stored, but a handler is not the store.
TEXT = st.text(st.characters(codec=None), max_size=400) | st.text(
    alphabet="<>&!|*_~`@#:\n\t\r\x00\N{PILE OF POO}ab", max_size=400
)
VALUE = TEXT | st.none() | st.integers() | st.floats() | st.booleans() | st.lists(TEXT, max_size=3)
STEP = st.fixed_dictionaries({"name": VALUE, "state": VALUE, "duration_s": st.none() | st.floats(0, 1e6)})
RUN = st.fixed_dictionaries(
    {
        "id": TEXT,
        "workflow": VALUE,
        "state": TEXT,
        "reason": VALUE,
        "results": st.dictionaries(TEXT, VALUE, max_size=5),
    },
    optional={
        "error": st.fixed_dictionaries({"type": VALUE, "message": VALUE, "traceback": TEXT, "step": VALUE}),
        "steps": st.lists(STEP, max_size=4),
        "log_tail": TEXT,
        "duration_s": st.floats(0, 1e6),
    },
)
DETAILS = st.dictionaries(
    st.sampled_from(["reason", "error", "sync", "revision", "schedule", "hook", "actor"]), TEXT, max_size=7
) | st.fixed_dictionaries(
    {"paths": st.lists(TEXT, max_size=4), "due": st.lists(TEXT, max_size=4), "plan": st.lists(TEXT)}
)
MESSAGE = st.builds(
    Message,
    id=st.just("01"),
    key=TEXT,
    event=st.sampled_from(["run.failed", "sync.failed", "schedule.changed", "drift.detected", "something.new"]),
    severity=st.sampled_from(["info", "warning", "error", "dire"]),
    at=st.just("2026-01-02T03:04:05Z"),
    title=TEXT,
    project=st.none() | TEXT,
    repository=st.none() | TEXT,
    ref=st.none() | TEXT,
    commit=st.none() | st.fixed_dictionaries({"sha": TEXT, "author": VALUE, "subject": VALUE, "url": VALUE}),
    run=st.none() | RUN,
    details=DETAILS,
    links=st.dictionaries(st.sampled_from(["run", "diff", "commit", "log"]), TEXT),
)


@given(MESSAGE)
@settings(max_examples=300, deadline=None)
def test_whatever_a_message_holds_slack_takes_it(message: Message) -> None:
    for said in (blocks.main(message), blocks.details(message), blocks.whole(message)):
        if said is not None:
            problems: list[Any] = problems_of({"text": said.text, "blocks": said.blocks}, mentions=False)
            assert problems == []
    assert len(blocks.subject(message)) <= 200


@given(TEXT, st.integers(3, 200))
def test_a_text_is_cut_to_its_size_and_never_in_the_middle_of_a_character(text: str, most: int) -> None:
    text = kit.clean(text)
    for shown in (kit.cut(text, most), kit.end(text, most), kit.line(text, most)):
        assert length(shown) <= most
        shown.encode("utf-8")
    assert kit.cut(text, 1000) == text
    assert kit.end(text, 1000) == text


@given(TEXT, st.integers(20, 300))
def test_what_is_escaped_is_whole_entities_of_bounded_size(text: str, most: int) -> None:
    shown = kit.escaped(kit.clean(text), most)
    assert length(shown) <= most
    assert problems_of({"text": shown or "."}, mentions=False) == []


@given(st.text(max_size=100))
def test_only_an_address_becomes_a_link(text: str) -> None:
    assert not kit.is_url("javascript:" + text)
    if kit.is_url("https://example.com/" + text):
        assert not set(text) & set(" <>|\n\t")
