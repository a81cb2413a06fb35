"""The companion as process 1, as in a container: a PID namespace of its own, where nobody else reaps and no signal has a default."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.pod import Callee, Pod, children
from tests.waiting import until

Contained = Callable[[], tuple[Pod, int]]


@pytest.fixture
def contained(callee: Callee, tmp_path: Path, old_python: Path, program: Path) -> Iterator[Contained]:
    """Starts the pod of job `one`; with the companion's number as we see it."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a PID namespace takes root and unshare (util-linux)")
    if subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("no PID namespace may be made here; run the tests in a container that may")
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec unshare --pid --fork --kill-child --mount-proc {old_python} "$@"\n')
    wrapper.chmod(0o755)
    pods: list[Pod] = []

    def begin() -> tuple[Pod, int]:
        pod = Pod(tmp_path / "pod", wrapper, program, callee.secret(tmp_path / "pod" / "secret"))
        pods.append(pod)
        until(lambda: children(pod.process.pid), "the namespace to begin")
        return pod, children(pod.process.pid)[0]

    yield begin
    for pod in pods:
        pod.close()


def test_it_reaps_whatever_was_orphaned(callee: Callee, contained: Contained) -> None:
    callee.add(
        script="import subprocess\n"
        "for _ in range(20): subprocess.run(['sh', '-c', 'sleep 0.1 &'])\n"
        "deadline = time.time() + 30\n"
        "def zombies(): return [p for p in os.listdir('/proc') if p.isdigit() and ' Z 1 ' in open('/proc/' + p + '/stat').read()]\n"
        "time.sleep(1)\n"
        "while zombies() and time.time() < deadline: time.sleep(0.1)\n"
        "emit('seen', zombies=len(zombies()), parent=os.getppid())\n"
    )
    pod, _ = contained()
    assert pod.wait() == 0, pod.log
    assert (callee.lines()[1]["parent"], callee.lines()[1]["zombies"]) == (1, 0)


def test_what_left_the_runners_session_ends_with_it_before_the_rest_is_told(
    callee: Callee, contained: Contained
) -> None:
    callee.add(script="import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n", flush_s=30.0)
    callee.meddle = lambda what: ("503 Service Unavailable", b"") if what == "events" else None
    pod, companion = contained()
    until(lambda: "finished" in _text(pod.folder / "events.jsonl"), "the runner to finish")
    until(lambda: not children(companion), "everything else to be gone")
    callee.meddle = lambda _: None
    assert pod.wait() == 0, pod.log
    assert callee.events() == ["claimed", "finished"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_hears_signals_although_it_is_the_first(
    callee: Callee, contained: Contained, number: signal.Signals
) -> None:
    callee.add(script="import signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nemit('began')\ntime.sleep(600)\n")
    pod, companion = contained()
    until(lambda: "began" in callee.events(), "the job to run")
    os.kill(companion, number)
    assert pod.wait() == 128 + number


def test_it_hears_them_before_it_has_a_runner(callee: Callee, contained: Contained) -> None:
    callee.add(script="")
    callee.meddle = lambda _: ("503 Service Unavailable", b"")
    pod, companion = contained()
    until(lambda: len(callee.requests) > 1, "it to ask again")
    os.kill(companion, signal.SIGTERM)
    assert pod.wait() == 143


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
