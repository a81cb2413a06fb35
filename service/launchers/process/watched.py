"""What an installer (uv, pip) draws on a terminal, read as words, so that people see how far it is.

Installers draw only on a terminal, and then they write over their own lines and list every package at the end. So they
get a terminal of their own, and what they draw there comes out as short texts: `Preparing packages... (12/140)`.

Standard library only: `requirements/install` runs this file before anything is installed, as
`python watched.py LABEL COMMAND ...`, which draws one line on standard error and answers with the command's exit code.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Spinners and bars that stand before the words.
_DRAWN = re.compile(r"^[\s\u2500-\u259f\u2800-\u28ff]+")
_ALL = re.compile(r"\w[\w ]*\.{3} *\(\d+/\d+\)|\[\d+/\d+\] \S+")
_SHARE = re.compile(r"[(\[](\d+)/(\d+)[)\]]")
_SIZE = struct.pack("HHHH", 24, 100, 0, 0)
_PIECE = 65536
_TICK_S = 0.1
_BAR = 20


def open_terminal() -> tuple[int, int]:
    """A terminal: the end to read from, and the end to give away."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, _SIZE)
    return ours, theirs


def texts(terminal: int) -> Iterator[tuple[str, bool]]:
    """What is written until nobody has the other end: each line, and whether it was only drawn, to be overwritten.

    Closes its end then.
    """
    rest = ""
    try:
        while data := _read(terminal):
            *whole, rest = re.split(r"([\r\n]+)", rest + data)
            for said, end in zip(whole[::2], whole[1::2], strict=True):
                if text := _words(said, drawn="\n" not in end):
                    yield text, "\n" not in end
        if text := _words(rest, drawn=False):
            yield text, False
    finally:
        os.close(terminal)


def _words(said: str, *, drawn: bool) -> str:
    plain = _ESCAPE.sub("", said).rstrip()
    if not drawn:
        return plain
    # Several bars may be drawn at once, below the one that counts them all.
    all_ = _ALL.search(plain)
    return " ".join((all_[0] if all_ else _DRAWN.sub("", plain)).split())


def share(text: str) -> tuple[int, int] | None:
    """`Preparing packages... (12/140)` → 12, 140."""
    found = _SHARE.search(text)
    return (int(found[1]), int(found[2])) if found and int(found[2]) else None


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, _PIECE).decode("utf-8", "replace")
    except OSError:  # the other end is closed
        return ""


class StatusLine:
    """One line on standard error that says what is done, for how long, and how far it is. Gone at the end."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._text = ""
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def say(self, text: str) -> None:
        self._text = text

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    def _draw(self) -> None:
        while not self._ended.wait(_TICK_S):
            line = f"{self._label} {self.seconds:.0f} s  {bar(self._text)}"
            sys.stderr.write(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")
            sys.stderr.flush()


def bar(text: str) -> str:
    """The text, with a bar before it where it says how far it is."""
    if (found := share(text)) is None:
        return text
    done = round(_BAR * found[0] / found[1])
    return f"{'━' * done}{'─' * (_BAR - done)} {text}"


def main(label: str, *command: str) -> int:
    ours, theirs = open_terminal()
    said: list[str] = []
    with StatusLine(label) as line:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
        finally:
            os.close(theirs)
        for text, drawn in texts(ours):
            line.say(text)
            if not drawn:
                said.append(text)
        code = process.wait()
    told = said[-40:] if code else [f"{label} took {line.seconds:.0f} s"]
    sys.stderr.write("".join(f"{text}\n" for text in told))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
