"""The few pieces of Block Kit that messages are made of, each within Slack's limits whatever it is given.

Text of others (a commit's subject, an error) never becomes markup: everything is `rich_text` or `plain_text`, whose texts Slack
shows as they are. Only a message's fallback `text` is markup, and `escaped` is for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

Block = dict[str, Any]
Piece = dict[str, Any]

HEADER = 150
BUTTON_URL = 3000
# Where Slack cuts or refuses differs by page; 4,000 is what it advises.
FALLBACK = 3900
# What moves a cursor, hides or turns text around; tabs and line ends are dealt with by who takes several lines.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_URL = re.compile(r"https?://[^\s<>|\"\\^`{}]+")


def clean(text: object) -> str:
    """What people may be shown of any text."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text).replace("\r\n", "\n").replace("\r", "\n"))


def line(text: object, most: int) -> str:
    """One line of at most `most` characters."""
    return cut(" ".join(clean(text).split()), most)


def cut(text: str, most: int) -> str:
    """Its beginning, with an ellipsis where something is missing."""
    if size(text) <= most:
        return text
    kept = text[: most - 1]
    while size(kept) > most - 1:
        kept = kept[: -max(1, (size(kept) - most + 1) // 2)]
    return kept + "…"


def end(text: str, most: int) -> str:
    """Its last whole lines."""
    if size(text) <= most:
        return text
    kept = text[-(most - 2) :]
    while size(kept) > most - 2:
        kept = kept[max(1, (size(kept) - most + 2) // 2) :]
    whole = kept.partition("\n")[2] or kept
    return "…\n" + whole


def size(text: str) -> int:
    """As UTF-16 counts, which is never less than any other way in which Slack may count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def escaped(text: str, most: int = FALLBACK) -> str:
    """Markup that shows as `text`, of at most `most` characters."""
    whole = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if size(whole) <= most:
        return whole
    return escaped(cut(text, size(text) - max(1, (size(whole) - most) // 5)), most)


# Pieces of a line.


def plain(text: str) -> Piece:
    return {"type": "text", "text": text}


def bold(text: str) -> Piece:
    return {"type": "text", "text": text, "style": {"bold": True}}


def faint(text: str) -> Piece:
    return {"type": "text", "text": text, "style": {"italic": True}}


def code(text: str) -> Piece:
    return {"type": "text", "text": text, "style": {"code": True}}


def link(url: str | None, text: str, *, fixed: bool = False) -> Piece:
    """A link where `url` is one; else its text. `fixed` is for what reads like code."""
    style = {"style": {"code": True}} if fixed else {}
    if not is_url(url):
        return {"type": "text", "text": text, **style}
    return {"type": "link", "url": url, "text": text, **style}


def is_url(url: object) -> bool:
    return isinstance(url, str) and size(url) <= BUTTON_URL and _URL.fullmatch(url) is not None


# Parts of a text, and blocks.


def section(pieces: Iterable[Piece]) -> Block | None:
    kept = [piece for piece in pieces if piece["text"]]
    return {"type": "rich_text_section", "elements": kept} if kept else None


def quote(text: str) -> Block | None:
    return {"type": "rich_text_quote", "elements": [plain(text)]} if text.strip() else None


def listing(text: str) -> Block | None:
    """Lines as a program printed them."""
    return {"type": "rich_text_preformatted", "elements": [plain(text)]} if text.strip() else None


def bullets(items: Iterable[Iterable[Piece]]) -> Block | None:
    kept = [one for item in items if (one := section(item))]
    return {"type": "rich_text_list", "style": "bullet", "elements": kept} if kept else None


def text(*parts: Block | None) -> Block | None:
    """A block of sections, quotes, lists and listings; None when there is nothing to say."""
    kept = [part for part in parts if part is not None]
    return {"type": "rich_text", "elements": kept} if kept else None


def header(words: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": line(words, HEADER), "emoji": False}}


def context(words: str) -> Block | None:
    shown = line(words, 300)
    return {"type": "context", "elements": [{"type": "plain_text", "text": shown, "emoji": False}]} if shown else None


def buttons(links: Iterable[tuple[str, str, object]]) -> Block | None:
    """(name, label, url); one without an address that Slack takes is left out."""
    kept = [
        {
            "type": "button",
            "action_id": name,
            "text": {"type": "plain_text", "text": label, "emoji": False},
            "url": url,
        }
        for name, label, url in links
        if is_url(url)
    ]
    return {"type": "actions", "elements": kept} if kept else None
