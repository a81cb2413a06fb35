"""Every event × Slack mode, from the real handler, laid out as on a phone: nothing is cut off, and what matters is on the screen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.domain.events import Topic
from tests.peers.slack.pictures import DESKTOP, PHONE, Browser, Shown, gallery, page

pytestmark = pytest.mark.browser

# What a phone shows of a channel, keyboard and bars apart, in CSS pixels.
SCREEN = 640
MODES = {"bot": gallery.by_bot, "webhook": gallery.by_webhook}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


def heights(browser: Browser, shown: list[Shown]) -> dict[str, float]:
    found = browser.heights(page(shown, PHONE), width=PHONE + 24)
    assert found.keys() == {one.caption for one in shown}
    return found


@pytest.mark.parametrize("kind", gallery.KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_every_event_can_be_read(browser: Browser, mode: str, kind: str) -> None:
    shown = list(MODES[mode](kind))
    said = {one.caption.rpartition(": ")[2] for one in shown}
    assert said == set(Topic) - ({Topic.RUN_PROGRESS} if mode == "webhook" else set())
    for width in (PHONE, DESKTOP):
        assert not browser.unreadable(page(shown, width), width=width + 24)


def test_a_bot_s_message_is_on_one_screen(browser: Browser) -> None:
    assert max(heights(browser, list(gallery.by_bot("realistic"))).values()) <= SCREEN


@pytest.mark.parametrize("kind", ["hostile", "oversized"])
def test_nobody_fills_a_channel_with_one_message(browser: Browser, kind: str) -> None:
    assert max(heights(browser, list(gallery.by_bot(kind))).values()) <= 3 * SCREEN


@pytest.mark.parametrize("end", [Topic.RUN_SUCCEEDED, Topic.RUN_FAILED, Topic.RUN_LOST, Topic.RUN_CANCELLED])
def test_a_run_of_twelve_steps_stays_one_message_of_one_screen(browser: Browser, end: Topic) -> None:
    shown = list(gallery.of_a_run(gallery.a_run(end)))
    assert max(heights(browser, shown).values()) <= SCREEN + 100
    assert not browser.unreadable(page(shown, PHONE), width=PHONE + 24)


def test_a_message_that_was_edited_is_not_marked_as_such(browser: Browser) -> None:
    *_, last = gallery.of_a_run(gallery.a_run(Topic.RUN_SUCCEEDED))
    assert last.edited
    assert "(edited)" not in page([last], PHONE)
