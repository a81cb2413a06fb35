"""`plan` of a folder, with the real runner: what it says is what the service then does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import ROOT, Said, alone
from tests.peers.git_http import GitServer, WorkingCopy, run_git
from tests.peers.service_process import ServiceProcess, wait_for

pytestmark = [pytest.mark.runner, pytest.mark.slow]

QUICKSTART = ROOT / "examples/quickstart"
PROJECT = """\
kind: project
metadata: {name: tiny}
spec: {workflows: [{name: main, path: workflow.py, engine: local}]}
"""
WORKFLOW = "def pipeline(rows: int = 1):\n    pass\n"


def plan(*words: str | Path, **environment: str) -> Said:
    return alone("plan", *map(str, words), environment=environment)


def folder(at: Path, **files: str) -> Path:
    """A tiny project there; a name's `__` is a dot, its `_in_` a slash."""
    named = {"project__yaml": PROJECT, "workflow__py": WORKFLOW, **files}
    for name, text in named.items():
        path = at / name.replace("_in_", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return at


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in sorted(folder.rglob("*"))
        if ".git" not in path.relative_to(folder).parts
    }


@pytest.fixture
def pushed(tmp_path: Path) -> Iterator[tuple[WorkingCopy, ServiceProcess]]:
    """A working copy of the quickstart with an origin, and a service that polls nothing and is told by `push`."""
    tmp_path.chmod(0o755)
    with GitServer(tmp_path / "forge") as server:
        work = server.create("ml/quickstart").clone(tmp_path / "work")
        shutil.copytree(QUICKSTART, work.path, dirs_exist_ok=True)
        work.commit({})
        work.push()
        one = {"name": "quickstart", "url": work.repository.url, "webhook_secrets": "insecure", "poll": 0}
        with ServiceProcess(tmp_path / "service", {"repositories": [one]}) as service:
            yield work, service


def sync(service: ServiceProcess, work: WorkingCopy) -> Any:
    """Ask for a sync as a webhook does and wait for its end."""
    body = {"ref": "refs/heads/main", "repository": {"full_name": "ml/quickstart"}, "before": "0" * 40}
    tip = work.git("rev-parse", "HEAD")
    answer = service.http.post(
        "/webhooks/github/quickstart",
        json={**body, "after": tip},
        headers={"x-github-event": "push", "x-github-delivery": tip[:8]},
    )
    assert answer.status_code == 202, answer.text

    def ended() -> bool:
        found = service.get("/syncs", commit=tip)["items"]
        return bool(found) and found[0]["state"] not in ("queued", "syncing")

    wait_for(ended, 180, service.tail)
    return service.get(f"/syncs/{service.get('/syncs', commit=tip)['items'][0]['id']}")


def test_the_plan_of_a_working_copy_is_the_plan_of_its_push(pushed: tuple[WorkingCopy, ServiceProcess]) -> None:
    work, service = pushed
    before = seen(work.path)
    said = plan(work.path, "--json")
    assert said.code == 0, said.err
    [foretold] = said.data["plans"]
    assert seen(work.path) == before
    done = sync(service, work)
    assert done["state"] == "succeeded", done
    assert foretold == done["plan"]

    unchanged = plan(work.path, "--against", "--json", GITOPS_URL=service.url)
    [same] = unchanged.data["plans"]
    assert (same["save"], same["changes"], same["revision"]) == (False, [], foretold["revision"])

    text = (work.path / "project.yaml").read_text(encoding="utf-8")
    (work.path / "project.yaml").write_text(text.replace('"30 2 * * *"', '"0 3 * * *"'), encoding="utf-8")
    changed = plan(work.path, "--against", GITOPS_URL=service.url)
    assert "~ schedule nightly: cron changed: 30 2 * * * (UTC) → 0 3 * * * (UTC)" in changed.out
    assert "and what is not committed" in changed.err
    shown = alone("syncs", done["id"], "--url", service.url).out
    assert "> run main: push to main" in shown


def test_a_folder_without_git_is_planned_and_not_touched(tmp_path: Path) -> None:
    writes = "import pathlib\ndef setup(project):\n    pathlib.Path('left.txt').write_text('x')\n    return project\n"
    here = folder(tmp_path / "here", project_setup__py=writes)
    before = seen(here)
    said = plan(here)
    assert said.code == 0, said.err
    assert said.out.splitlines()[0].startswith("tiny: main at uncommitted (push), revision ")
    assert "> run main: push to main" in said.out
    assert "no Git work tree" in said.err
    assert seen(here) == before


def test_what_fails_to_load_is_told_with_the_users_own_traceback(tmp_path: Path) -> None:
    here = folder(tmp_path, project_setup__py="def setup(project):\n    raise ValueError('no such table')\n")
    said = plan(here)
    assert (said.code, said.out) == (1, "")
    assert "error: tiny: ValueError: no such table" in said.err
    assert 'project_setup.py", line 2, in setup' in said.err
    assert "mend it there and plan again" in said.err
    failed = plan(here, "--json")
    assert failed.code == 1
    assert failed.data["plans"] == []
    assert failed.data["failures"][0]["project"] == "tiny"


def test_one_project_that_fails_hides_no_other(tmp_path: Path) -> None:
    declared = "version: 1\nprojects:\n  - {path: good}\n  - {path: bad, name: bad}\n"
    here = folder(
        tmp_path,
        __gitops__yaml=declared,
        good_in_project__yaml=PROJECT,
        good_in_workflow__py=WORKFLOW,
        bad_in_project_setup__py="1 / 0\n",
    )
    said = plan(here)
    assert said.code == 1
    assert "tiny: main at" in said.out
    assert "error: bad: ZeroDivisionError" in said.err


def test_a_project_of_a_monorepo_is_planned_from_its_own_folder(tmp_path: Path) -> None:
    declared = "version: 1\nprojects:\n  - {path: a, run: []}\n  - {path: b, name: b}\n"
    folder(tmp_path, __gitops__yaml=declared, a_in_project__yaml=PROJECT, a_in_workflow__py=WORKFLOW)
    (tmp_path / "project.yaml").unlink()
    run_git(tmp_path, "init", "--quiet", "--initial-branch=main")
    said = plan(tmp_path / "a")
    assert said.code == 0, said.err
    assert "no run rule of .gitops.yaml says on: push" in said.out
    other = plan(tmp_path / "b")
    assert (other.code, "has no folder 'b'" in other.err) == (1, True)


def test_what_git_ignores_is_not_there_as_after_a_push(tmp_path: Path) -> None:
    needs = "import secret_settings\ndef setup(project):\n    return project\n"
    here = folder(tmp_path, project_setup__py=needs, secret_settings__py="", __gitignore="secret_*\n")
    run_git(here, "init", "--quiet", "--initial-branch=main")
    said = plan(here)
    assert said.code == 1
    assert "No module named 'secret_settings'" in said.err


def test_what_cannot_be_understood_is_told_with_line_and_mend_before_anything_runs(tmp_path: Path) -> None:
    here = folder(tmp_path / "here", __gitops__yaml="version: 1\nprojects:\n  - rnu: []\n")
    said = plan(here)
    assert said.code == 1
    assert ".gitops.yaml, line 3: projects[0].rnu: is no key we know" in said.err
    assert "did you mean run?" in said.err
    (here / ".gitops.yaml").write_text("version: 1\nprojects:\n  - {notify: [{to: team}]}\n", encoding="utf-8")
    config = tmp_path / "config.yaml"
    config.write_text("handlers: {ops: {kind: console}}\n", encoding="utf-8")
    refused = plan(here, "--config", config)
    assert refused.code == 1
    assert "notify.to 'team' is no handler" in refused.err
    assert plan(tmp_path / "nowhere").err.startswith("error: ")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "neither project.yaml" in plan(empty).err


def test_a_link_that_leads_out_is_refused_as_in_a_push(tmp_path: Path) -> None:
    here = folder(tmp_path)
    (here / "data").symlink_to("/etc")
    said = plan(here)
    assert said.code == 1
    assert "the symlink 'data' leads out of it" in said.err
    (here / "data").unlink()
    os.mkfifo(here / "pipe")
    assert plan(here).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_it_leaves_nothing_behind(number: signal.Signals) -> None:
    with tempfile.TemporaryDirectory(prefix="gitops-ended-") as place:
        Path(place).chmod(0o777)  # as root, runners have a user of their own
        began = Path(place, "began")
        setup = f"import os\nopen({str(began)!r}, 'w').write(str(os.getpid()))\nwhile True: pass\n"
        at = folder(Path(place, "x"), project_setup__py=setup)
        temporary = Path(place, "tmp")
        temporary.mkdir()
        temporary.chmod(0o755)
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "plan", str(at)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: began.exists() and began.read_text(encoding="utf-8"), 120, "the setup to run")
        process.send_signal(number)
        assert process.wait(60) != 0
        assert list(temporary.glob("gitops-plan-*")) == []
        assert not Path("/proc", began.read_text(encoding="utf-8")).exists()


def test_the_ref_decides_what_a_push_concerns(tmp_path: Path) -> None:
    here = folder(tmp_path, __gitops__yaml="version: 1\nprojects:\n  - {refs: [prod]}\n")
    run_git(here, "init", "--quiet", "--initial-branch=dev")
    said = plan(here, "--json")
    assert said.code == 0, said.err
    assert said.data["plans"][0]["ref"] == "refs/heads/prod"
    assert "a push to dev concerns no project" in said.data["notes"][0]
    refused = plan(here, "--ref", "dev")
    assert refused.code == 1
    assert "they follow prod" in refused.err
    assert json.loads(plan(here, "--ref", "prod", "--json").out)["notes"][0].startswith("no commit yet")
