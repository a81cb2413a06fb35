from __future__ import annotations

import json
import re
from pathlib import Path

from handlers.slack import trouble

PAGE = (Path(__file__).parents[3] / "docs" / "guide" / "slack.md").read_text(encoding="utf-8")


def test_the_page_has_a_row_for_every_refusal_that_can_be_mended() -> None:
    rows = re.findall(r"^\| ((?:`\w+`,? )+)\|", PAGE, re.MULTILINE)
    named = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert named == set(trouble.MENDS)


def test_the_pages_manifest_asks_for_what_the_bot_uses() -> None:
    [manifest] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    scopes = json.loads(manifest)["oauth_config"]["scopes"]["bot"]
    assert scopes == ["chat:write", "channels:history", "groups:history", "channels:read", "groups:read"]
