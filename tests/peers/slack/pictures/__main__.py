"""`python -m tests.peers.slack.pictures FOLDER`: contact sheets of every event × mode, to be looked at."""

from __future__ import annotations

import sys
from pathlib import Path

from service.domain.events import Topic
from tests.peers.slack.pictures import DESKTOP, PHONE, Browser, Shown, gallery, page

# Sheets that fit a screen: columns, and messages on a sheet.
_SHEETS = {"phone": (PHONE, 4, 8), "desktop": (DESKTOP, 2, 6)}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    with Browser() as browser:
        for name, shown in everything():
            for device, (width, columns, count) in _SHEETS.items():
                for number, some in enumerate(_batches(shown, count), 1):
                    path = folder / f"{name}-{device}-{number}.png"
                    browser.picture(page(some, width), path, width=columns * (width + 12) + 12)
                    print(path)
    return 0


def _batches(shown: list[Shown], count: int) -> list[list[Shown]]:
    return [shown[start : start + count] for start in range(0, len(shown), count)]


def everything() -> list[tuple[str, list[Shown]]]:
    ends = (Topic.RUN_SUCCEEDED, Topic.RUN_FAILED)
    sheets = [(f"life-{end}", list(gallery.of_a_run(gallery.a_run(end)))) for end in ends]
    for kind in gallery.KINDS:
        sheets += [(f"bot-{kind}", list(gallery.by_bot(kind))), (f"webhook-{kind}", list(gallery.by_webhook(kind)))]
    return sheets


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
