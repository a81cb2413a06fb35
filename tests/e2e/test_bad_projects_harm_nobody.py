"""What a repository can say wrong: each is one clear error at its place, and the last good configuration stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.stage import LONG_S, WORKFLOW, Stage, Team
from tests.peers.service_process import wait_for

pytestmark = [pytest.mark.runner, pytest.mark.slow]

Files = dict[str, str | bytes | None]

BOMB = (
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "metadata: {name: bomb}\n"
)


def _project(team: Team, **spec: object) -> Files:
    return {**team.files(), "project.yaml": team.project_yaml(**spec)}


# What is pushed, and words that its error must hold.
BAD: dict[str, tuple[Callable[[Team], Files], tuple[str, ...]]] = {
    "no project file": (lambda _: {"project.yaml": None}, ("neither project.yaml nor project_setup.py",)),
    "a bomb of aliases": (lambda _: {"project.yaml": BOMB}, ("project.yaml", "alias")),
    "not YAML": (lambda _: {"project.yaml": "metadata: [unclosed\n"}, ("project.yaml", "line")),
    "YAML of a wrong type": (lambda _: {"project.yaml": "- just\n- a list\n"}, ("project.yaml", "mapping")),
    "not text": (lambda _: {"project.yaml": b"\xff\xfe\x00\x01"}, ("project.yaml",)),
    "a function without its file": (
        lambda team: _project(team, functions=[{"name": "f", "kind": "job", "url": "gone.py"}]),
        ("gone.py",),
    ),
    "a workflow without its file": (
        lambda team: _project(team, workflows=[{"name": "main", "path": "gone.py"}]),
        ("gone.py",),
    ),
    "a cron line of six fields": (lambda team: team.files(cron="0 0 2 * * 1"), ("0 0 2 * * 1", "five")),
    "a day 8": (lambda team: team.files(cron="0 2 * * 8"), ("0 2 * * 8", "day")),
    "a schedule that never fires": (lambda team: team.files(cron="0 0 30 2 *"), ("never",)),
    "setup that raises": (
        lambda _: {"project_setup.py": "def setup(project):\n    raise RuntimeError('no licence')\n"},
        ("RuntimeError", "no licence"),
    ),
    "setup that exits": (
        lambda _: {"project_setup.py": "import sys\n\ndef setup(project):\n    sys.exit(3)\n"},
        ("SystemExit", "3"),
    ),
    "setup that ends its process": (
        lambda _: {"project_setup.py": "import os\n\ndef setup(project):\n    os._exit(3)\n"},
        ("ended",),
    ),
    "setup that never ends": (
        lambda _: {"project_setup.py": "def setup(project):\n    while True:\n        pass\n"},
        ("longer than", "load_timeout"),
    ),
    "a workflow that raises": (
        lambda _: {"workflow.py": "def pipeline():\n    raise ValueError('no data')\n"},
        ("ValueError", "no data"),
    ),
    "a workflow with a typo": (lambda _: {"workflow.py": "def pipeline(:\n"}, ("SyntaxError",)),
    ".gitops.yaml with an unknown key": (
        lambda _: {".gitops.yaml": "version: 1\nprojects: [{path: '.', rnu: []}]\n"},
        ("rnu",),
    ),
    ".gitops.yaml that runs an unknown workflow": (
        lambda _: {".gitops.yaml": "version: 1\nprojects: [{path: '.', run: [{workflow: gone}]}]\n"},
        ("gone", "main"),
    ),
}


@pytest.fixture(scope="module")
def team(stage: Stage) -> Team:
    """One team makes all the mistakes; between two of them stands a good commit, so each begins from the same."""
    team = stage.team()
    assert team.synced(team.push(team.files(cron="30 2 * * *")))["state"] == "succeeded"
    return team


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_clear_error_and_the_last_good_revision_stays(team: Team, case: str) -> None:
    bad, words = BAD[case]
    files = bad(team)
    good, runs = team.in_force(), len(team.runs())
    sync = team.synced(team.push(files, case))
    try:
        assert sync["state"] == "failed", sync
        said = f"{sync['error']['what']} {sync['error']['mend']}"
        assert all(word in said for word in words), said
        assert "internal" not in said
        assert team.in_force() == good
        assert team.schedules() == {"nightly": "30 2 * * *"}
        assert len(team.runs()) == runs
        assert team.project()["error"]
        wait_for(
            lambda: any(sync["commit"] == (m["commit"] or {}).get("sha") for m in team.told("sync.failed")),
            LONG_S,
            "the message",
        )
    finally:
        whole = team.files(cron="30 2 * * *")
        added: Files = {name: None for name, text in files.items() if name not in whole and text is not None}
        assert team.synced(team.push({**added, **whole}, f"Mend: {case}"))["state"] == "succeeded"


def test_setup_that_prints_and_forks_without_end_is_loaded_all_the_same(stage: Stage) -> None:
    team = stage.team()
    setup = (
        "import os\n\ndef setup(project):\n    pid = os.fork()\n    if not pid:\n        os._exit(0)\n    os.waitpid(pid, 0)\n"
        "    for _ in range(100):\n        print('x' * 1_000_000)\n    return project\n"
    )
    assert team.synced(team.push({**team.files(), "project_setup.py": setup}))["state"] == "succeeded"


def test_a_run_that_fails_tells_the_users_own_traceback(stage: Stage) -> None:
    team = stage.team()
    step = "def run(context, factor: int):\n    return {}['missing']\n"
    team.synced(team.push({**team.files(), "double.py": step}))
    [run] = team.runs()
    assert run["state"] == "failed"
    assert run["error"]["type"] == "KeyError"
    assert 'File "double.py", line 2, in run' in run["error"]["traceback"]
    assert "site-packages" not in run["error"]["traceback"]
    wait_for(lambda: team.told("run.failed"), LONG_S, "the message")


def test_a_run_that_ends_its_own_process_is_lost_and_never_repeated(stage: Stage) -> None:
    team = stage.team()
    step = "import os\n\ndef run(context, factor: int):\n    os._exit(0)\n"
    team.synced(team.push({**team.files(), "double.py": step}))
    [run] = team.runs()
    assert run["state"] in ("lost", "failed")
    assert len(team.runs()) == 1


def test_two_repositories_cannot_have_one_project(stage: Stage) -> None:
    first, second = stage.team(), stage.team()
    first.synced(first.push(first.files()))
    before = first.in_force()
    commit = second.work.commit({**second.files(), "project.yaml": first.project_yaml(params={"factor": 9})}, "Mine")
    second.work.push()
    outcome = second.outcome(second.hook(commit))
    assert outcome["outcome"] == "failed"
    assert first.name in outcome["outcome_reason"]
    assert first.in_force() == before
    repository = stage.service.get(f"/repositories/{second.name}")
    assert first.name in repository["error"]


def test_a_repository_that_is_empty_says_so(stage: Stage) -> None:
    team = stage.team()
    outcome = team.outcome(team.hook("1" * 40))
    assert outcome["outcome"] == "failed"
    assert "empty" in outcome["outcome_reason"]


def test_a_tag_runs_its_own_rules_and_puts_nothing_in_force(stage: Stage) -> None:
    team = stage.team()
    config = "version: 1\nprojects: [{path: '.', run: [{workflow: main, on: tag}]}]\n"
    commit = team.push({**team.files(), ".gitops.yaml": config, "workflow.py": WORKFLOW})
    team.synced(commit)
    assert team.runs() == []
    force = team.project()["in_force"]
    team.work.git("tag", "v1")
    team.work.push("v1")
    team.hook(commit, "refs/tags/v1")
    wait_for(lambda: team.stage.service.all("/runs", repository=team.name), LONG_S, "the tag's run")
    [run] = team.runs()
    assert (run["ref"], run["state"]) == ("refs/tags/v1", "succeeded")
    assert team.project()["in_force"] == force
