"""A message as a page that is laid out as Slack does it, at the width of a phone or a desktop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tests.peers.slack.pictures import mrkdwn
from tests.peers.slack.workspace import Channel, Message

Json = Mapping[str, Any]
PHONE, DESKTOP = 390, 760

_CSS = """
* { box-sizing: border-box; }
body { margin: 0; padding: 12px; background: #d9d9de; font: 15px/1.46 Lato, 'Noto Sans', 'DejaVu Sans', sans-serif; color: #1d1c1d; }
.sheet { display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-start; }
.card { background: #fff; border-radius: 8px; overflow: hidden; }
.caption { background: #4a154b; color: #fff; font-size: 12px; padding: 3px 10px; overflow-wrap: anywhere; }
.message { display: flex; gap: 8px; padding: 10px 12px; }
.message .message { padding: 8px 0 0; }
.avatar { flex: none; width: 36px; height: 36px; border-radius: 6px; background: #ecb22e; display: grid; place-items: center; font-size: 20px; }
.what { flex: 1; min-width: 0; }
.who { font-weight: 700; } .who small { font-weight: 400; color: #616061; }
.app { background: #e8e8e8; color: #616061; font-size: 10px; font-weight: 700; border-radius: 2px; padding: 1px 3px; }
.block { margin: 4px 0; overflow-wrap: anywhere; }
.header { font-size: 18px; font-weight: 800; line-height: 1.33; margin-top: 6px; }
.context { color: #616061; font-size: 13px; display: flex; flex-wrap: wrap; gap: 2px 8px; align-items: center; }
.context > * { min-width: 0; overflow-wrap: anywhere; }
.context img { width: 20px; height: 20px; }
.divider { border-top: 1px solid #ddd; margin: 10px 0; }
.section { display: flex; gap: 12px; } .section > .text { flex: 1; min-width: 0; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 6px 16px; margin-top: 2px; } .fields > * { min-width: 0; overflow-wrap: anywhere; }
.phone .fields { grid-template-columns: 1fr; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; }
.button { display: inline-block; border: 1px solid #bbb; border-radius: 4px; padding: 4px 12px; font-weight: 700; font-size: 14px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 240px; color: #1d1c1d; background: #fff; }
.button.primary { background: #007a5a; color: #fff; border-color: #007a5a; } .button.danger { background: #e01e5a; color: #fff; border-color: #e01e5a; }
.image { max-width: 100%; background: #eee; color: #616061; padding: 16px; border-radius: 6px; font-size: 13px; }
.attachment { border-left: 4px solid #ddd; padding-left: 10px; margin: 6px 0; }
.thread { border-left: 2px solid #ddd; margin: 2px 0 4px 4px; padding-left: 10px; }
.replies { color: #1264a3; font-size: 13px; font-weight: 700; }
pre, code { font: 12px/1.5 Monaco, 'DejaVu Sans Mono', monospace; background: #f8f8f8; border: 1px solid #ddd; border-radius: 4px; }
pre { margin: 4px 0; padding: 8px; white-space: pre-wrap; overflow-wrap: anywhere; } code { padding: 1px 3px; color: #c01343; overflow-wrap: anywhere; }
.context pre, .context code { font-size: 11px; }
blockquote { margin: 2px 0; padding-left: 10px; border-left: 4px solid #ddd; }
a { color: #1264a3; text-decoration: none; }
.mention { background: #fff4ce; outline: 2px solid #e01e5a; } .unknown-emoji { background: #e01e5a; color: #fff; }
table { border-collapse: collapse; font-size: 13px; width: 100%; } td { border: 1px solid #ddd; padding: 3px 6px; overflow-wrap: anywhere; }
ul, ol { margin: 2px 0; padding-left: 24px; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message with the replies in its thread; `caption` says what it is a picture of."""

    caption: str
    message: Json
    replies: tuple[Json, ...] = ()
    edited: bool = False

    @classmethod
    def of(cls, message: Message, channel: Channel, caption: str) -> Shown:
        """As it stands in the stand-in now."""
        replies = tuple(reply.content for reply in channel.thread(message.ts))
        return cls(caption=caption, message=message.content, replies=replies, edited=bool(message.versions))


def page(shown: Sequence[Shown], width: int) -> str:
    """One page with all of them side by side, each `width` wide."""
    kind = "phone" if width < 500 else "desktop"
    cards = "".join(
        f'<div class="card" style="width:{width}px"><div class="caption">{escape(one.caption)}</div>{_message(one)}</div>'
        for one in shown
    )
    head = f'<meta charset="utf-8"><style>{_CSS}</style>'
    return (
        f'<!doctype html><html><head>{head}</head><body class="{kind}"><div class="sheet">{cards}</div></body></html>'
    )


def _message(shown: Shown) -> str:
    replies = "".join(_said(reply) for reply in shown.replies)
    count = len(shown.replies)
    thread = f'<div class="thread"><div class="replies">{count} repl{"y" if count == 1 else "ies"}</div>{replies}</div>'
    # The mark of an edit is shown on texts, not on blocks (chat.update, blocks).
    edited = " <small>(edited)</small>" if shown.edited and not shown.message.get("blocks") else ""
    return _said(shown.message, edited + (thread if replies else ""))


def _said(message: Json, after: str = "") -> str:
    parts = [_block(block) for block in message.get("blocks") or []]
    if not parts and message.get("text"):
        parts = [f'<div class="block">{mrkdwn.html(str(message["text"]))}</div>']
    parts += [_attachment(attachment) for attachment in message.get("attachments") or []]
    who = '<div class="who">MLRun GitOps <span class="app">APP</span> <small>10:42</small></div>'
    return f'<div class="message"><div class="avatar">⚙️</div><div class="what">{who}{"".join(parts)}{after}</div></div>'


def _attachment(attachment: Json) -> str:
    colour = {"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}.get(
        str(attachment.get("color")), str(attachment.get("color", "#ddd"))
    )
    inside = [_block(block) for block in attachment.get("blocks") or []]
    if not inside:
        inside = [
            f'<div class="block">{mrkdwn.html(str(attachment[key]))}</div>'
            for key in ("pretext", "title", "text", "footer")
            if attachment.get(key)
        ]
    return f'<div class="attachment" style="border-color:{escape(colour)}">{"".join(inside)}</div>'


def _block(block: Json) -> str:
    return f'<div class="block {block["type"]}">{_BLOCKS[block["type"]](block)}</div>'


def _text(text: Json) -> str:
    if text["type"] == "mrkdwn":
        return mrkdwn.html(text["text"])
    return mrkdwn.plain(text["text"], emoji=text.get("emoji", True))


def _section(block: Json) -> str:
    inside = _text(block["text"]) if "text" in block else ""
    if fields := block.get("fields"):
        inside += '<div class="fields">' + "".join(f"<div>{_text(field)}</div>" for field in fields) + "</div>"
    accessory = f"<div>{_element(block['accessory'])}</div>" if "accessory" in block else ""
    return f'<div class="text">{inside}</div>{accessory}'


def _element(element: Json) -> str:
    if element["type"] == "button":
        return f'<span class="button {element.get("style", "")}">{_text(element["text"])}</span>'
    return _image(element) if element["type"] == "image" else f"<span>{_text(element)}</span>"


def _image(block: Json) -> str:
    title = f"<div>{_text(block['title'])}</div>" if "title" in block else ""
    return f'{title}<div class="image">🖼 {escape(str(block["alt_text"]))}</div>'


def _rich(element: Json) -> str:
    inside = "".join(_rich(one) for one in element.get("elements", []))
    match element["type"]:
        case "rich_text_section" | "rich_text":
            return f"<div>{inside}</div>"
        case "rich_text_list":
            tag = "ol" if element["style"] == "ordered" else "ul"
            items = "".join(f"<li>{_rich(one)}</li>" for one in element["elements"])
            return f"<{tag}>{items}</{tag}>"
        case "rich_text_preformatted":
            return f"<pre>{inside.replace('<br>', chr(10))}</pre>"
        case "rich_text_quote":
            return f"<blockquote>{inside}</blockquote>"
        case "text":
            return _styled(escape(element["text"]).replace("\n", "<br>"), element.get("style") or {})
        case "link":
            return f'<a href="{escape(element["url"])}">{escape(element.get("text") or element["url"])}</a>'
        case "emoji":
            return mrkdwn.html(f":{element['name']}:")
        case _:
            return f'<span class="mention">{escape(str(element))}</span>'


def _styled(inside: str, style: Json) -> str:
    for name, tag in (("bold", "b"), ("italic", "i"), ("strike", "s"), ("code", "code"), ("underline", "u")):
        if style.get(name):
            inside = f"<{tag}>{inside}</{tag}>"
    return inside


def _table(block: Json) -> str:
    def cell(one: Json) -> str:
        return f"<td>{_rich(one) if one['type'] == 'rich_text' else escape(one['text'])}</td>"

    return "<table>" + "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in block["rows"]) + "</table>"


_BLOCKS: dict[str, Callable[[Json], str]] = {
    "section": _section,
    "divider": lambda _: "",
    "header": lambda block: _text(block["text"]),
    "image": _image,
    "actions": lambda block: "".join(_element(one) for one in block["elements"]),
    "context": lambda block: "".join(_element(one) for one in block["elements"]),
    "markdown": lambda block: f"<div>{mrkdwn.plain(block['text'])}</div>",
    "rich_text": _rich,
    "table": _table,
}
