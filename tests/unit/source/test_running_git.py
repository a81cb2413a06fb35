"""How git is run: from nothing, under a deadline, with capped output, and never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import git as gitpython
import pytest

from service.errors import Stopping
from service.source.git import Git, GitError, environment
from service.source.pump import Interrupt
from tests.waiting import until

MEBIBYTE = 1024 * 1024


@pytest.fixture
def mirror(tmp_path: Path) -> Git:
    found = Git(tmp_path / "m.git", home=tmp_path, timeout_s=20)
    found.run("init", "--bare", "--quiet", "--template=")
    return found


def fake_git(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named git, for what the real one can't be made to do."""
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def hanging_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """With a child that hangs as well. What both have in their command lines."""
    seconds = f"3{time.time_ns() % 10**12}"
    fake_git(folder, f"sleep {seconds} & sleep {seconds}", monkeypatch)
    return f"sleep\0{seconds}"


def alive(marker: str) -> bool:
    return any(marker.encode() in _read(p) for p in Path("/proc").glob("[0-9]*/cmdline"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_nothing_of_the_services_environment_is_inherited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "GITOPS_TOKEN",
        "GIT_DIR",
        "GIT_SSL_NO_VERIFY",
        "GIT_CONFIG_COUNT",
        "LD_PRELOAD",
        "SSH_AUTH_SOCK",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, "evil")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ca.pem")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    fake_git(tmp_path, "env", monkeypatch)
    lines = Git(tmp_path / "m.git", home=tmp_path).run("x").stdout.decode().splitlines()
    seen = dict(line.split("=", 1) for line in lines)
    assert "evil" not in seen.values()
    assert seen["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert seen["https_proxy"] == "http://proxy:3128"
    assert seen["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert seen["HOME"] == str(tmp_path)
    assert set(seen) - {"PWD", "_", "SHLVL", "OLDPWD"} <= set(environment(tmp_path)) | {"GIT_DIR"}


def test_no_transport_is_allowed_that_was_not_asked_for(mirror: Git, tmp_path: Path) -> None:
    for url in ("ext::sh -c 'touch owned'", f"file://{mirror.git_dir}", "http://127.0.0.1:1/x", str(mirror.git_dir)):
        with pytest.raises(GitError, match="exit") as caught:
            mirror.run("fetch", "--end-of-options", url)
        assert "not allowed" in caught.value.stderr
    assert not (tmp_path / "owned").exists()


def test_the_mirrors_own_config_cannot_loosen_anything(mirror: Git, tmp_path: Path) -> None:
    (mirror.git_dir / "config").write_text(
        "[core]\n\tbare = true\n\tfsmonitor = touch owned\n\thooksPath = hooks\n\tsshCommand = touch owned\n"
        '[protocol]\n\tallow = always\n[protocol "ext"]\n\tallow = always\n[http]\n\tfollowRedirects = true\n'
    )
    for key, value in (("http.followRedirects", "false"), ("protocol.allow", "never"), ("core.hooksPath", "/dev/null")):
        assert mirror.run("config", "--get", key).stdout.decode().strip() == value
    with pytest.raises(GitError):
        mirror.run("fetch", "--end-of-options", "ext::touch owned")
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize("guarded", [False, True])
def test_a_git_that_hangs_is_ended_with_all_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    marker = hanging_git(tmp_path, monkeypatch)
    begun = time.monotonic()
    with pytest.raises(GitError) as caught:
        Git(tmp_path / "m.git", home=tmp_path).run("fetch", timeout_s=0.5, guarded=guarded)
    assert caught.value.timed_out == 0.5
    assert time.monotonic() - begun < 10
    until(lambda: not alive(marker), "its children to be gone", 5)


@pytest.mark.parametrize("guarded", [False, True])
def test_a_git_that_is_interrupted_is_ended_with_all_its_children_and_none_begins_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    marker = hanging_git(tmp_path, monkeypatch)
    interrupt = Interrupt()
    git = Git(tmp_path / "m.git", home=tmp_path, interrupt=interrupt)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(git.run, "fetch", guarded=guarded)
        until(lambda: alive(marker), "it to run")
        interrupt.set()
        with pytest.raises(Stopping, match="git fetch was ended"):
            running.result(30)
    until(lambda: not alive(marker), "its children to be gone", 5)
    with pytest.raises(Stopping):
        git.run("fetch", guarded=guarded)


def test_a_guarded_git_that_forks_into_the_background_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = f"4{os.getpid()}"
    fake_git(tmp_path, f"sleep {seconds} >/dev/null 2>&1 </dev/null & exit 0", monkeypatch)
    assert Git(tmp_path / "m.git", home=tmp_path).run("gc", guarded=True).status == 0
    until(lambda: not alive(f"sleep\0{seconds}"), "what it forked to be gone", 5)


def test_output_is_capped_and_memory_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(tmp_path, "yes 0123456789", monkeypatch)
    with pytest.raises(GitError) as caught:
        Git(tmp_path / "m.git", home=tmp_path).run("ls-tree", cap=MEBIBYTE)
    assert caught.value.too_much
    fake = Git(tmp_path / "m.git", home=tmp_path)
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\nyes loud | head -c 3000000 >&2\nexit 3\n")
    with pytest.raises(GitError) as caught:
        fake.run("x")
    assert caught.value.status == 3
    assert len(caught.value.stderr) <= 64 * 1024


def test_output_just_at_the_cap_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(tmp_path, "head -c 5000 /dev/zero", monkeypatch)
    assert len(Git(tmp_path / "m.git", home=tmp_path).run("x", cap=5000).stdout) == 5000


def test_large_input_and_output_at_once_do_not_block_each_other(mirror: Git) -> None:
    blob = mirror.run("hash-object", "-w", "--stdin", stdin=b"x").stdout.strip()
    asked = (blob + b"\n") * 50_000
    answers = mirror.run("cat-file", "--batch-check", stdin=asked).stdout
    assert answers.count(b"\n") == 50_000


def test_a_git_that_does_not_read_its_input_is_no_failure_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(tmp_path, "exit 5", monkeypatch)
    with pytest.raises(GitError) as caught:
        Git(tmp_path / "m.git", home=tmp_path).run("x", stdin=b"x" * MEBIBYTE)
    assert caught.value.status == 5


def test_running_git_leaves_no_descriptor_and_no_process(mirror: Git) -> None:
    def mine() -> tuple[int, int]:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return len(os.listdir("/proc/self/fd")), len(children)

    mirror.run("rev-parse", "--git-dir", guarded=True)
    before = mine()
    for guarded in (True, False):
        mirror.run("rev-parse", "--git-dir", guarded=guarded)
        with pytest.raises(GitError):
            mirror.run("rev-parse", "--verify", "nothing", guarded=guarded)
    assert mine() == before


def test_what_gitpython_builds_on_it_starts_its_processes_here_too(
    mirror: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert mirror.rev_parse("--is-bare-repository") == "true"
    with pytest.raises(gitpython.GitCommandError):
        mirror.rev_parse("--verify", "nothing")


def test_importing_it_does_not_need_a_git(tmp_path: Path) -> None:
    code = "import service.source; print('fine')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": str(tmp_path)},
        cwd=Path.cwd(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "fine\n", done.stderr
