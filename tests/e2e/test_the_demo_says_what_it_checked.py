"""`mlrun-gitops demo`, as people run it: it ends well only if all went well, and however it ends, nothing is left."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.service_process import wait_for

pytestmark = [pytest.mark.runner, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
WHOLE_S = 300.0
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Demo:
    """A demo at work; `terminal` gives it one of 80 columns. Its folder is in `tmp`, which has to be empty in the end."""

    def __init__(self, tmp: Path, *arguments: str, terminal: bool = False, **environment: str) -> None:
        self.tmp = tmp
        self.text = ""
        ours, theirs = pty.openpty() if terminal else os.pipe()
        if terminal:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._reader = ours
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITOPS_", "COLUMNS"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "demo", *arguments],
            cwd=ROOT,
            env={**kept, "TERM": "xterm-256color", "TMPDIR": str(tmp), **environment},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait_to_say(self, words: str) -> None:
        wait_for(
            lambda: words in self.text or self.process.poll() is not None,
            WHOLE_S,
            lambda: f"{words!r} in:\n{self.text}",
        )
        assert words in self.text, self.text

    def ended(self) -> int:
        code = self.process.wait(WHOLE_S)
        self._thread.join()
        return code

    def service(self) -> int:
        """The pid of its service's master."""
        return min(pid for pid, words in self.processes().items() if "serve --config" in words)

    def processes(self) -> dict[int, str]:
        """Those that have to do with its folder."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    place = str((entry / "cwd").readlink())
                except OSError:
                    continue
                if str(self.tmp) in words or place.startswith(str(self.tmp)):
                    found[int(entry.name)] = words
        return found

    def left(self) -> tuple[list[str], dict[int, str]]:
        return os.listdir(self.tmp), self.processes()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._reader, 65536)
            except OSError:
                return
            if not piece:
                return
            self.text += piece.decode("utf-8", "replace")


@pytest.fixture
def tmp() -> Iterator[Path]:
    """Where runners with a user of their own get at it, which pytest's folder is not."""
    folder = Path(tempfile.mkdtemp(prefix="gitops-demo-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_whole_story_holds_is_plain_in_a_pipe_and_leaves_nothing(tmp: Path) -> None:
    demo = Demo(tmp)
    assert demo.ended() == 0, demo.text
    assert "\x1b" not in demo.text
    assert "\r" not in demo.text
    assert [line for line in demo.text.splitlines() if len(line) > 80] == []
    assert re.findall(r"^ (\d)  ", demo.text, re.MULTILINE) == list("123456")
    assert "✗" not in demo.text
    for said in (
        "exactly one new revision",
        "rounds 10 → 80",
        "15 4 * * * → 45 5 * * 1-5",
        "NameError: name 'generated' is not defined",
        "the last good configuration is still in force",
        "the project's error is gone",
        "is superseded by it, and recorded",
        "first step",
        "console  [info] run.succeeded",
        "with good signatures",
    ):
        assert said in demo.text
    assert demo.left() == ([], {})


def test_on_a_terminal_it_moves_within_80_columns_and_stays_up_to_be_played_with(tmp: Path) -> None:
    demo = Demo(tmp, "--keep", terminal=True)
    demo.wait_to_say("What people are told from now on:")
    assert "\x1b[" in demo.text
    drawn = _ESCAPE.sub("", demo.text)
    assert [line for line in re.split(r"[\r\n]+", drawn) if len(line) > 80] == []
    [folder] = tmp.iterdir()
    git = ["git", "-C", str(folder / "clone"), "-c", "user.name=Bob", "-c", "user.email=bob@example.com"]
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "Played with"], check=True)
    subprocess.run([*git, "push", "--quiet"], check=True, stdin=subprocess.DEVNULL)
    demo.wait_to_say("Played with")
    demo.process.send_signal(signal.SIGINT)
    assert demo.ended() == 0, demo.text
    assert demo.left() == ([], {})


def test_a_service_that_dies_is_told_with_the_end_of_its_log(tmp: Path) -> None:
    demo = Demo(tmp)
    demo.wait_to_say(" 2  A second push")
    os.kill(demo.service(), signal.SIGKILL)
    assert demo.ended() == 1
    assert "the service ended by itself" in demo.text
    assert "The service's log ends:" in demo.text
    assert "The demo failed." in demo.text
    assert demo.left() == ([], {})


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopped_in_the_middle_it_leaves_nothing(tmp: Path, number: signal.Signals, code: int) -> None:
    demo = Demo(tmp)
    demo.wait_to_say("webhook of main: 202")
    demo.process.send_signal(number)
    assert demo.ended() == code
    assert demo.left() == ([], {})


def test_when_nobody_reads_any_more_it_ends_and_leaves_nothing(tmp: Path) -> None:
    command = f"{sys.executable} -m service demo | head -n 5"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp)},
        capture_output=True,
        text=True,
        timeout=WHOLE_S,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp) == []


def test_without_a_python_39_it_says_what_to_do(tmp: Path) -> None:
    demo = Demo(tmp, GITOPS_LAUNCHER__RUNNER_PYTHON="/bin/false")
    assert demo.ended() == 1
    assert "No Python 3.9 that runs was found" in demo.text
    assert "launcher.runner_python" in demo.text
    assert demo.left() == ([], {})
