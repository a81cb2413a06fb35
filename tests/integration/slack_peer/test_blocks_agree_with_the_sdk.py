"""slack-sdk's block models and the stand-in agree: their JSON is taken, and what they refuse to make is refused."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackObjectFormationError
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.basic_objects import JsonObject
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ConfirmObject,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    ImageBlock,
    ImageElement,
    MarkdownBlock,
    MarkdownTextObject,
    PlainTextObject,
    RichTextBlock,
    RichTextElementParts,
    RichTextListElement,
    RichTextPreformattedElement,
    RichTextQuoteElement,
    RichTextSectionElement,
    SectionBlock,
    TableBlock,
)

from tests.peers.slack import SlackPeer, rules

URL = "https://example.com/"
TEXT = RichTextElementParts.Text(text="t", style={"bold": True})
SECTION = RichTextSectionElement(elements=[TEXT, RichTextElementParts.Emoji(name="tada")])


def button(**also: Any) -> ButtonElement:
    return ButtonElement(**{"text": "Run", "action_id": "run", "url": URL, **also})


def many(count: int) -> list[ButtonElement]:
    return [button(action_id=f"a{number}") for number in range(count)]


def link(size: int) -> str:
    return URL + "x" * (size - len(URL))


def confirm(**also: Any) -> ConfirmObject:
    return ConfirmObject(**{"title": "t", "text": "t", "confirm": "c", "deny": "d", **also})


# At their limits, each of them.
GOOD: dict[str, Block] = {
    "section": SectionBlock(text="x" * 3000, block_id="b" * 255),
    "section with fields": SectionBlock(fields=["x" * 900] * 10, expand=True),
    "section with a long field": SectionBlock(fields=["x" * 2000]),
    "section with a button": SectionBlock(
        text=PlainTextObject(text="x", emoji=True), accessory=button(confirm=confirm())
    ),
    "section with an image": SectionBlock(text="x", accessory=ImageElement(image_url=link(3000), alt_text="a" * 2000)),
    "divider": DividerBlock(),
    "header": HeaderBlock(text="x" * 150),
    "image": ImageBlock(image_url=link(3000), alt_text="a" * 2000, title="t" * 2000),
    "actions": ActionsBlock(elements=many(25)),
    "button": ActionsBlock(elements=[button(text="x" * 75, value="v" * 2000, url=link(3000), style="danger")]),
    "button with a long id": ActionsBlock(elements=[button(action_id="a" * 255, accessibility_label="l" * 75)]),
    "confirmation": ActionsBlock(
        elements=[
            button(confirm=confirm(title="t" * 100, text="x" * 300, confirm="c" * 30, deny="d" * 30, style="primary"))
        ]
    ),
    "context": ContextBlock(elements=[MarkdownTextObject(text="x", verbatim=True)] * 10),
    "context with an image": ContextBlock(
        elements=[ImageElement(image_url=URL, alt_text="a"), PlainTextObject(text="x")]
    ),
    "markdown": MarkdownBlock(text="x" * 9000),
    "rich text": RichTextBlock(
        elements=[
            SECTION,
            RichTextListElement(style="bullet", elements=[SECTION]),
            RichTextPreformattedElement(elements=[RichTextElementParts.Text(text="code")]),
            RichTextQuoteElement(elements=[RichTextElementParts.Link(url=URL, text="there")]),
        ]
    ),
    "table": TableBlock(rows=[[{"type": "raw_text", "text": "a"}] * 20] * 100),
}

# One over the limit: the models refuse to make it.
BAD: dict[str, Block] = {
    "section of nothing": SectionBlock(),
    "section": SectionBlock(text="x" * 3001),
    "block_id": SectionBlock(text="x", block_id="b" * 256),
    "fields": SectionBlock(fields=["x"] * 11),
    "header": HeaderBlock(text="x" * 151),
    "header of nothing": HeaderBlock(),
    "image_url": ImageBlock(image_url=link(3001), alt_text="a"),
    "alt_text": ImageBlock(image_url=URL, alt_text="a" * 2001),
    "title": ImageBlock(image_url=URL, alt_text="a", title="t" * 2001),
    "actions": ActionsBlock(elements=many(26)),
    "context": ContextBlock(elements=[MarkdownTextObject(text="x")] * 11),
    "markdown": MarkdownBlock(text="x" * 12_001),
    "table": TableBlock(rows=[]),
    "button text": ActionsBlock(elements=[button(text="x" * 76)]),
    "button value": ActionsBlock(elements=[button(value="v" * 2001)]),
    "button url": ActionsBlock(elements=[button(url=link(3001))]),
    "button style": ActionsBlock(elements=[button(style="loud")]),
    "button id": ActionsBlock(elements=[button(action_id="a" * 256)]),
    "button label": ActionsBlock(elements=[button(accessibility_label="l" * 76)]),
    "confirmation title": ActionsBlock(elements=[button(confirm=confirm(title="t" * 101))]),
    "confirmation text": ActionsBlock(elements=[button(confirm=confirm(text="t" * 301))]),
    "confirmation yes": ActionsBlock(elements=[button(confirm=confirm(confirm="t" * 31))]),
    "confirmation no": ActionsBlock(elements=[button(confirm=confirm(deny="t" * 31))]),
}


def answer_to(client: WebClient, block: dict[str, Any]) -> str:
    try:
        client.chat_postMessage(channel="#ml", text="fallback", blocks=[block])
    except SlackApiError as error:
        return str(error.response["error"])
    return "ok"


@pytest.mark.parametrize("name", GOOD)
def test_what_the_models_make_is_taken(client: WebClient, slack: SlackPeer, name: str) -> None:
    client.chat_postMessage(channel="#ml", text="fallback", blocks=[GOOD[name]])
    assert not slack.refused
    assert slack.messages()[0].blocks[0]["type"] == GOOD[name].to_dict()["type"]


@pytest.mark.parametrize("name", BAD)
def test_what_the_models_refuse_is_refused(
    client: WebClient, slack: SlackPeer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SlackObjectFormationError):
        BAD[name].to_dict()
    monkeypatch.setattr(JsonObject, "validate_json", lambda _: None)
    assert answer_to(client, BAD[name].to_dict()) == "invalid_blocks"
    assert not slack.messages()


def test_an_attachment_with_blocks_is_taken(client: WebClient, slack: SlackPeer) -> None:
    attachment = BlockAttachment(blocks=[GOOD["header"], GOOD["divider"]], color="#36a64f", fallback="f")
    client.chat_postMessage(channel="#ml", text="x", attachments=[attachment])
    assert slack.messages()[0].attachments[0]["color"] == "#36a64f"


def test_every_block_of_the_sdk_is_modelled_or_named_as_not(client: WebClient) -> None:
    theirs = {str(vars(kind)["type"]) for kind in Block.__subclasses__()}
    assert theirs == rules.BLOCKS.keys() | set(rules.NOT_MODELLED)
    for name in rules.NOT_MODELLED:
        assert answer_to(client, {"type": name}) == "invalid_blocks"


@pytest.mark.parametrize(
    ("limit", "name", "attribute"),
    [
        (kind, name, attribute)
        for kind in (SectionBlock, HeaderBlock, ImageBlock, ActionsBlock, ContextBlock, MarkdownBlock)
        for name in [str(kind.type)]
        for attribute in rules.BLOCKS[name].fields
        if hasattr(kind, f"{attribute}_max_length")
    ],
)
def test_the_tables_have_the_sdk_s_limits(limit: type[Block], name: str, attribute: str) -> None:
    assert rules.BLOCKS[name].fields[attribute].most == getattr(limit, f"{attribute}_max_length")
