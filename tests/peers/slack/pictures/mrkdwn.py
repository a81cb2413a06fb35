"""Slack's markup to HTML: what is code stays code, what is escaped stays text, an unknown emoji stands out."""

from __future__ import annotations

import re
from html import escape

# Names as Slack has them (github.com/iamcal/emoji-data). One that is missing here is shown as its name, marked.
EMOJI = {
    "alarm_clock": "⏰", "arrow_right": "➡️", "arrows_counterclockwise": "🔄", "ballot_box_with_check": "☑️", "bell": "🔔",
    "black_square_for_stop": "⏹️", "bookmark_tabs": "📑", "broom": "🧹", "bust_in_silhouette": "👤", "calendar": "📆",
    "chart_with_upwards_trend": "📈", "clipboard": "📋", "clock1": "🕐", "double_vertical_bar": "⏸️", "exclamation": "❗",
    "eyes": "👀", "fast_forward": "⏩", "file_folder": "📁", "floppy_disk": "💾", "gear": "⚙️", "ghost": "👻", "grey_question": "❔",
    "heavy_check_mark": "✔️", "heavy_minus_sign": "➖", "heavy_plus_sign": "➕", "hourglass": "⌛",
    "hourglass_flowing_sand": "⏳", "inbox_tray": "📥", "information_source": "ℹ️", "large_blue_circle": "🔵",
    "large_green_circle": "🟢", "large_orange_circle": "🟠", "large_yellow_circle": "🟡", "leftwards_arrow_with_hook": "↩️",
    "lock": "🔒", "mag": "🔍", "memo": "📝", "no_entry": "⛔", "no_entry_sign": "🚫", "package": "📦", "pencil2": "✏️", "pushpin": "📌",
    "question": "❓", "red_circle": "🔴", "repeat": "🔁", "rewind": "⏪", "rocket": "🚀", "rotating_light": "🚨",
    "shield": "🛡️", "spiral_calendar_pad": "🗓️", "stopwatch": "⏱️", "tada": "🎉", "test_tube": "🧪", "timer_clock": "⏲️", "wastebasket": "🗑️",
    "warning": "⚠️", "wave": "👋", "white_check_mark": "✅", "white_circle": "⚪", "wrench": "🔧", "x": "❌", "zap": "⚡", "zzz": "💤",
}  # fmt: skip

_PIECES = re.compile(r"```(?P<block>.+?)```|`(?P<code>[^`\n]+)`|<(?P<sequence>[^<>\n]*)>", re.DOTALL)
# Marks count at the edges of words only, and not across lines.
_STYLES = (
    (re.compile(r"(?<![\w*])\*(?! )([^*\n]+?)(?<! )\*(?![\w*])"), r"<b>\1</b>"),
    (re.compile(r"(?<![\w_])_(?! )([^_\n]+?)(?<! )_(?![\w_])"), r"<i>\1</i>"),
    (re.compile(r"(?<![\w~])~(?! )([^~\n]+?)(?<! )~(?![\w~])"), r"<s>\1</s>"),
)
_NAMED = re.compile(r":([a-z0-9_+'-]+):")


def plain(text: str, *, emoji: bool = True) -> str:
    """A plain_text object: entities are decoded, names of emoji are emoji."""
    shown = _coded(text).replace("\n", "<br>")
    return _NAMED.sub(_emoji, shown) if emoji else shown


def html(text: str) -> str:
    """An mrkdwn text."""
    kept: list[str] = []

    def keep(piece: re.Match[str]) -> str:
        kept.append(_piece(piece))
        return f"\x02{len(kept) - 1}\x03"

    lines = _PIECES.sub(keep, text).split("\n")
    shown = "\n".join(_quoted(lines))
    for pattern, by in _STYLES:
        shown = pattern.sub(by, shown)
    shown = _NAMED.sub(_emoji, shown)
    shown = shown.replace("</blockquote>\n", "</blockquote>").replace("\n", "<br>")
    # Marks may stand around code and links, whose own text they leave alone.
    shown = re.sub(r"\x02(\d+)\x03", lambda found: kept[int(found[1])], shown)
    return re.sub(r"(</pre>)<br>|<br>(<pre)", r"\1\2", shown)


def _quoted(lines: list[str]) -> list[str]:
    shown: list[str] = []
    for line in lines:
        found = re.match(r"(?:&gt;|>) ?(.*)", line)
        if not found:
            shown.append(_coded(line))
        elif shown and shown[-1].endswith("</blockquote>"):
            shown[-1] = f"{shown[-1].removesuffix('</blockquote>')}<br>{_coded(found[1])}</blockquote>"
        else:
            shown.append(f"<blockquote>{_coded(found[1])}</blockquote>")
    return shown


def _piece(found: re.Match[str]) -> str:
    if found["block"] is not None:
        return f"<pre>{_coded(found['block'].strip(chr(10)))}</pre>"
    if found["code"] is not None:
        return f"<code>{_coded(found['code'])}</code>"
    return _sequence(found["sequence"])


def _sequence(inside: str) -> str:
    target, _, label = inside.partition("|")
    if target.startswith("!date^"):
        return _coded(label)
    if target.startswith(("http://", "https://", "mailto:")):
        address = _coded(target).replace('"', "%22")
        return f'<a href="{address}">{_NAMED.sub(_emoji, _coded(label or target))}</a>'
    return f'<span class="mention">{_coded(label or target)}</span>'


def _coded(text: str) -> str:
    """Slack's three entities, decoded and encoded again with whatever else HTML needs."""
    decoded = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return escape(decoded, quote=False)


def _emoji(found: re.Match[str]) -> str:
    known = EMOJI.get(found[1])
    if known is None and found[1].isdigit():
        return found[0]  # a time, 12:30:00
    return known or f'<span class="unknown-emoji">{escape(found[0])}</span>'
