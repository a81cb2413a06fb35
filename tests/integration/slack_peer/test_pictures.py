"""Pictures show what people would see: marks become what they mean, what nobody could read is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.slack.pictures import DESKTOP, PHONE, Browser, Shown, mrkdwn, page


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* _it_ ~no~", "<b>bold</b> <i>it</i> <s>no</s>"),
        ("a*b*c snake_case_name 2 * 3 * 4", "a*b*c snake_case_name 2 * 3 * 4"),
        ("`*no*` ```_no_\n:x:```", "<code>*no*</code> <pre>_no_\n:x:</pre>"),
        ("*`code` in bold*", "<b><code>code</code> in bold</b>"),
        ("<https://e.com/?a=1&amp;b|*x* here>", '<a href="https://e.com/?a=1&amp;b">*x* here</a>'),
        ("&lt;script&gt; &amp;amp;", "&lt;script&gt; &amp;amp;"),
        ("&gt; one\n> two\nthree", "<blockquote>one<br>two</blockquote>three"),
        (":white_check_mark: at 12:30:00", "✅ at 12:30:00"),
        (":nonsense:", '<span class="unknown-emoji">:nonsense:</span>'),
        ("<!channel>", '<span class="mention">!channel</span>'),
        ("<!date^1^{date}|today>", "today"),
    ],
)
def test_marks_become_what_they_mean(text: str, html: str) -> None:
    assert mrkdwn.html(text) == html


def test_a_plain_text_has_no_marks_but_emoji() -> None:
    assert mrkdwn.plain("*a* &lt;b&gt; :x:") == "*a* &lt;b&gt; ❌"
    assert mrkdwn.plain("<b> :x:", emoji=False) == "&lt;b&gt; :x:"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


def shown(*blocks: dict[str, Any], caption: str = "one") -> Shown:
    return Shown(caption=caption, message={"blocks": list(blocks)})


def button(text: str) -> dict[str, Any]:
    element = {"type": "button", "text": {"type": "plain_text", "text": text}}
    return {"type": "actions", "elements": [element]}


def fields(*texts: str) -> dict[str, Any]:
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": text} for text in texts]}


@pytest.mark.browser
@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        (button("Open the run"), None),
        (button("Open the run of the workflow that was started by the push"), "cut off"),
        (fields("*Project*\nfraud", "*Ref*\nmain"), None),
        (fields("x" * 1900), None),
        (fields(":nonsense:"), "no emoji"),
        (fields("<!channel>"), "calls people"),
        ({"type": "table", "rows": [[{"type": "raw_text", "text": "wide"}] * 20]}, "stands out"),
    ],
)
def test_what_nobody_could_read_is_found(browser: Browser, block: dict[str, Any], complaint: str | None) -> None:
    found = browser.unreadable(page([shown(block)], PHONE), width=PHONE + 24)
    if complaint is None:
        assert not found
    else:
        assert any(complaint in one for one in found)


@pytest.mark.browser
def test_fields_stand_side_by_side_on_a_desktop_only(browser: Browser) -> None:
    one = shown(fields("*a*\n1", "*b*\n2"))
    tall, flat = (browser.heights(page([one], width), width=width + 24)["one"] for width in (PHONE, DESKTOP))
    assert tall > flat


@pytest.mark.browser
def test_a_picture_is_a_picture(browser: Browser, tmp_path: Path) -> None:
    browser.picture(page([shown({"type": "divider"})], PHONE), tmp_path / "new" / "a.png", width=PHONE + 24)
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
