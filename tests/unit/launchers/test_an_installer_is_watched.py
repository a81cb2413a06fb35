"""What an installer draws on its terminal becomes words and shares; what it says stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.launchers.process import watched

PROGRAM = r"""
import sys
assert sys.stderr.isatty()
say = sys.stderr.write
say("\x1b[2mUsing Python 3.9\x1b[0m\n")
for n in (1, 2):
    say(f"\x1b[2K\x1b[37m\u2819\x1b[0m Preparing packages... ({n}/2)")
    say("  numpy \x1b[32m------\x1b[2m----\x1b[0m 1.00 MiB/3.00 MiB \r")
say("\u2588\u2588\u2591\u2591 [1/2] numpy==1.26.4 \r")
say("\x1b[2KInstalled 2 packages in 5ms\n")
say(" + numpy==1.26.4\n  indented: no\n")
sys.exit(int(sys.argv[1]))
"""


def start(code: int = 0) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = watched.open_terminal()
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(code)], stderr=theirs, env=environment)
    os.close(theirs)
    return process, ours


def test_drawn_lines_are_told_from_said_ones() -> None:
    process, terminal = start()
    found = list(watched.texts(terminal))
    assert process.wait() == 0
    assert [text for text, drawn in found if drawn] == [
        "Preparing packages... (1/2)",
        "Preparing packages... (2/2)",
        "[1/2] numpy==1.26.4",
    ]
    assert [text for text, drawn in found if not drawn] == [
        "Using Python 3.9",
        "Installed 2 packages in 5ms",
        " + numpy==1.26.4",
        "  indented: no",
    ]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Preparing packages... (12/140)", (12, 140)),
        ("[5/66] mdurl==0.1.2", (5, 66)),
        ("[0/0] Installing wheels...", None),
        ("Resolving dependencies...", None),
    ],
)
def test_a_share_is_read_where_there_is_one(text: str, share: tuple[int, int] | None) -> None:
    assert watched.share(text) == share
    assert watched.bar(text).endswith(text)


def test_run_as_a_program_it_answers_with_the_commands_code_and_shows_its_words_only_then(tmp_path: Path) -> None:
    program = tmp_path / "installer.py"
    program.write_text(PROGRAM)
    said = {}
    for code in (0, 3):
        # -I -S: it runs before anything is installed.
        command = [sys.executable, "-I", "-S", watched.__file__, "Packages", sys.executable, str(program), str(code)]
        done = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        assert done.returncode == code
        said[code] = done.stderr.decode().rpartition("\x1b[K")[2]
    assert said[0].startswith("Packages took ")
    assert "Installed 2 packages in 5ms" in said[3]
