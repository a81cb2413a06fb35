"""A terminal of 80 columns with somebody at it."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.integration.cli.conftest import ROOT

_PATIENCE_S = 120.0


def on_a_terminal(
    *words: str, at: Path = ROOT, answers: Sequence[str] = (), columns: int = 80, colours: bool = False, **env: str
) -> tuple[int, str]:
    """Exit code and what a person saw there; each of `answers` is typed when a question waits for it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(at)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns), "TERM": "xterm-256color", **env}
        os.execve(sys.executable, [sys.executable, "-m", "service", *words], environment)
    waiting, said, deadline = list(answers), b"", time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        ready = select.select([terminal], [], [], 1.0)[0]
        if not ready:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        said += piece
        if waiting and re.search(rb"(\): |\]: )\Z", said):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    text = said.decode().replace("\r\n", "\n")
    return code, text if colours else re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)
