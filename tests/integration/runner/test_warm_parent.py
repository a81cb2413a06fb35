"""The warm parent's own life."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.runner.projects import project, steps
from tests.peers.runner import ENVIRONMENT, Runner, WarmParent
from tests.waiting import until

pytestmark = pytest.mark.runner


def test_it_says_what_it_is(runner: Runner, program: Path) -> None:
    import hashlib

    (reply,) = runner.ask({"ping": True})
    assert reply["ready"] is True
    asked = "import kfp, mlrun, platform; print(mlrun.__version__, kfp.__version__, platform.python_version())"
    installed = subprocess.run([runner.python, "-W", "ignore", "-c", asked], capture_output=True, text=True, check=True)
    assert [reply["mlrun"], reply["kfp"], reply["python"]] == installed.stdout.split()[-3:]
    assert reply["threads"] == 1
    assert reply["pyz"] == hashlib.sha256(program.read_bytes()).hexdigest()


def test_a_second_parent_leaves_the_socket_to_the_first(runner: Runner, program: Path, warm_socket: Path) -> None:
    (before,) = runner.ask({"ping": True})
    second = subprocess.run([runner.python, program, "--warm", warm_socket], env=ENVIRONMENT, check=False)
    assert second.returncode == 0
    (after,) = runner.ask({"ping": True})
    assert after["pid"] == before["pid"]


@pytest.mark.parametrize(
    ("request_line", "words"),
    [
        (b"no json\n", "Expecting value"),
        (b"[]\n", "must be an object"),
        (b"\n", "Expecting value"),
        (b'{"job": "relative", "log": "/l", "cwd": "/"}\n', "job: 'relative' is not an absolute path"),
        (b'{"job": "/j", "log": "/l", "cwd": "/", "env": {"A": 1}}\n', "env: must be an object of texts"),
        (b'{"job": "/j", "log": "/l", "cwd": "/", "env": {}, "uid": "me"}\n', "uid: 'me' is not a number"),
        (b"[" * 100_000 + b"\n", ""),
    ],
)
def test_a_bad_request_is_answered_and_harms_nobody(runner: Runner, request_line: bytes, words: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(runner.socket))
        connection.sendall(request_line)
        connection.shutdown(socket.SHUT_WR)
        assert words in connection.makefile().read()
    assert runner.ask({"ping": True})[0]["ready"]


def test_a_client_that_goes_away_harms_nobody(runner: Runner) -> None:
    folder, source = runner.place(project(workflow=steps("run()")))
    runner.write(folder, source, {"kind": "load"})
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(runner.socket))
        import json

        connection.sendall(json.dumps(runner.request(folder, source, ENVIRONMENT)).encode() + b"\n")
    until((folder / "result.json").exists, "the load goes on by itself")
    assert runner.ask({"ping": True})[0]["ready"]


def spares(parent: int) -> list[int]:
    """The children that wait for a job, once there are as many as there should be."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    until(lambda: len(children.read_text().split()) == 2, "two children to wait for a job")
    return [int(pid) for pid in children.read_text().split()]


def load(runner: Runner) -> int:
    """Load a project; the pid of the child that did."""
    folder, source = runner.place(project())
    runner.write(folder, source, {"kind": "load"})
    first, last = runner.ask(runner.request(folder, source, ENVIRONMENT))
    assert last == {"exit": 0}, (folder / "log").read_text()
    pid = first["pid"]
    assert isinstance(pid, int)
    return pid


def test_children_that_wait_get_the_jobs_and_are_replaced(runner: Runner) -> None:
    parent = runner.ask({"ping": True})[0]["pid"]
    ready = spares(parent)
    used = load(runner)
    assert used in ready
    assert used not in spares(parent)


def test_a_child_that_was_killed_while_it_waited_costs_no_job(runner: Runner) -> None:
    parent = runner.ask({"ping": True})[0]["pid"]
    ready = spares(parent)
    for pid in ready:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in ready), "them to be gone")
    assert load(runner) not in ready
    assert not set(spares(parent)) & set(ready)


def test_a_bad_job_exits_with_2(runner: Runner) -> None:
    folder, source = runner.place(project())
    runner.write(folder, source, {"kind": "dance"})
    assert runner.start_warm(folder, source, ENVIRONMENT) == 2
    assert "kind: 'dance'" in (folder / "log").read_text()
    assert not (folder / "claimed").exists()


def test_a_signal_is_told_as_a_negative_code(runner: Runner) -> None:
    files = project(work="import os, signal\ndef work():\n    os.kill(os.getpid(), signal.SIGTERM)\n")
    assert runner.run(runner.load(files)).exit_code == -signal.SIGTERM


def test_a_fifo_is_opened_at_both_ends(runner: Runner) -> None:
    folder, source = runner.place(project(setup="print('loading')\ndef setup(project):\n    return project\n"))
    runner.write(folder, source, {"kind": "load"})
    os.mkfifo(folder / "log")
    reader = os.open(folder / "log", os.O_RDWR | os.O_NONBLOCK)
    try:
        assert runner.start_warm(folder, source, ENVIRONMENT) == 0
        assert b"loading" in os.read(reader, 65536)
    finally:
        os.close(reader)


def test_many_jobs_run_beside_each_other(runner: Runner) -> None:
    import json

    places = []
    for _ in range(6):
        folder, source = runner.place(project())
        runner.write(folder, source, {"kind": "load"})
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(str(runner.socket))
        connection.sendall(json.dumps(runner.request(folder, source, ENVIRONMENT)).encode() + b"\n")
        places.append((folder, connection))
    for folder, connection in places:
        with connection:
            replies = [json.loads(line) for line in connection.makefile()]
        assert replies[1] == {"exit": 0}, (folder / "log").read_text()
        assert (folder / "result.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run a job as somebody else")
def test_root_runs_a_job_as_somebody_else(runner: Runner) -> None:
    setup = "import os\ndef setup(project):\n    project.spec.params['who'] = os.getresuid() + os.getresgid() + tuple(os.getgroups())\n    return project\n"
    folder, source = runner.place(project(setup=setup))
    runner.write(folder, source, {"kind": "load"})
    for path in (folder, source, folder / "log", *source.iterdir(), folder / "job.json"):
        path.touch()
        os.chown(path, 65534, 65534)
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    _, last = runner.ask({**runner.request(folder, source, ENVIRONMENT), "uid": 65534})
    assert last == {"exit": 0}, (folder / "log").read_text()
    import json

    assert json.loads((folder / "result.json").read_text())["project"]["spec"]["params"]["who"] == [65534] * 6
    assert (folder / "result.json").stat().st_uid == 65534


@pytest.mark.slow
def test_with_a_second_thread_it_forks_nothing_and_says_why(runner_python: Path, program: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=[600], daemon=True).start()\n"
    )
    socket_path = tmp_path / "s"
    with WarmParent(runner_python, program, socket_path, environment={"PYTHONPATH": str(tmp_path)}):
        runner = Runner(runner_python, program, tmp_path / "jobs", socket_path)
        folder, source = runner.place(project())
        runner.write(folder, source, {"kind": "load"})
        (reply,) = runner.ask(runner.request(folder, source, ENVIRONMENT))
        assert reply["cold"].startswith("the warm parent has 2 threads")
        assert not (folder / "claimed").exists()


@pytest.mark.slow
def test_jobs_outlive_it_and_the_next_takes_over(runner_python: Path, program: Path, tmp_path: Path) -> None:
    socket_path = tmp_path / "s"
    runner = Runner(runner_python, program, tmp_path / "jobs", socket_path)
    setup = """\
    import os, time
    def setup(project):
        while not os.path.exists("go"):
            time.sleep(0.01)
        return project
    """
    with WarmParent(runner_python, program, socket_path) as parent:
        waiting = spares(parent.ready["pid"])
        folder, source = runner.place(project(setup=setup))
        runner.write(folder, source, {"kind": "load"})
        with socket.socket(socket.AF_UNIX) as connection:
            import json

            connection.connect(str(socket_path))
            connection.sendall(json.dumps(runner.request(folder, source, ENVIRONMENT)).encode() + b"\n")
            until((folder / "claimed").exists, "the job runs")
            assert parent.process is not None
            parent.process.kill()
            parent.process.wait()
            until(lambda: sum(Path(f"/proc/{pid}").exists() for pid in waiting) == 1, "only the job to be left")
    with WarmParent(runner_python, program, socket_path) as second:
        assert runner.ask({"ping": True})[0]["pid"] == second.ready["pid"]
        (source / "go").touch()
        until((folder / "result.json").exists, "the job of the first one ends")


@pytest.mark.slow
def test_it_ends_itself_when_nobody_wants_it(runner_python: Path, program: Path, tmp_path: Path) -> None:
    socket_path = tmp_path / "s"
    with WarmParent(runner_python, program, socket_path, ("--idle", "1")) as parent:
        assert parent.process is not None
        assert parent.process.wait(timeout=60) == 0
        assert not socket_path.exists()
