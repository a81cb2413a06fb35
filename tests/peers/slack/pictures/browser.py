"""Chromium, driven by Playwright: takes pictures of pages, and finds on them what a person could not read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from tests.peers.present import chromium

# Boxes that are narrower than what is in them, or stand out to the right of their card; and marks that nobody meant.
_UNREADABLE = """
() => {
  const found = [];
  for (const card of document.querySelectorAll('.card')) {
    const name = card.querySelector('.caption').textContent;
    const right = card.getBoundingClientRect().right + 0.5;
    for (const one of card.querySelectorAll('*')) {
      const text = one.textContent.trim().slice(0, 60);
      if (!text) continue;
      if (one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline') found.push(`${name}: cut off: ${text}`);
      if (one.getBoundingClientRect().right > right) found.push(`${name}: stands out: ${text}`);
      if (one.matches('.unknown-emoji')) found.push(`${name}: no emoji: ${text}`);
      if (one.matches('.mention')) found.push(`${name}: calls people: ${text}`);
    }
  }
  return found;
}
"""
_HEIGHTS = """
() => Object.fromEntries([...document.querySelectorAll('.card')].map(card => [
  card.querySelector('.caption').textContent,
  card.querySelector('.message').getBoundingClientRect().height - (card.querySelector('.thread')?.getBoundingClientRect().height ?? 0),
]))
"""


class Browser:
    """One browser for many pages. `scale` 2 makes pictures as sharp as a phone's."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale

    def __enter__(self) -> Self:
        from playwright.sync_api import sync_playwright

        program = chromium()
        assert program, "there is no Chromium"
        self._playwright = sync_playwright().start()
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._browser = self._playwright.chromium.launch(executable_path=str(program), args=flags)
        self._page = self._browser.new_page(device_scale_factor=self._scale, java_script_enabled=True)
        # Pages have everything in them; whatever else they ask for is not fetched.
        self._page.route("**/*", lambda route: route.abort())
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()

    def picture(self, page: str, path: Path, *, width: int) -> None:
        """The whole page, `width` wide, as PNG."""
        self._open(page, width)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._page.screenshot(path=path, full_page=True)

    def unreadable(self, page: str, *, width: int) -> list[str]:
        """What is cut off, stands out or was not meant, card by card."""
        self._open(page, width)
        found: list[str] = self._page.evaluate(_UNREADABLE)
        return found

    def heights(self, page: str, *, width: int) -> dict[str, float]:
        """How tall each message is, its thread apart."""
        self._open(page, width)
        found: dict[str, float] = self._page.evaluate(_HEIGHTS)
        return found

    def _open(self, page: str, width: int) -> None:
        self._page.set_viewport_size({"width": width, "height": 800})
        self._page.set_content(page, wait_until="load")
