"""Ours against MLRun's own: the same files, saved by `load_project(save=True)` and `sync_functions(save=True)`, and by the target.

Both are of the MLRun that is the default. Of the newest one a sample is compared; RUNNER_PYTHON has all of them compared with another.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.domain.drift import There
from service.domain.images import Images
from service.domain.mlrun_versions import SUPPORTED
from service.domain.projects import Resolved, Workflow
from service.domain.saving import Documents, documents
from service.domain.writes import Saving, plan_writes
from service.launchers.process.environment import ensure_environment
from service.mlrun_api import MlrunApi
from service.settings import Settings
from service.targets.mlrun import MlrunTarget
from tests.integration.mlrun_target import generated
from tests.integration.mlrun_target.recorder import Recorder
from tests.peers.mlrun_api import cold
from tests.peers.present import say, settings_for
from tests.peers.runner import ENVIRONMENT, Runner, WarmParent

pytestmark = [pytest.mark.runner, pytest.mark.slow]

PROJECTS = 200
# Of the newest MLRun; other projects than those.
SAMPLE = 12
# Each process of MLRun's costs seconds before its first project.
CHUNK = 25
SOURCE = "https://gitops.example.com/archives/x.y/0123.tar.gz"

Json = dict[str, Any]


def clone(folder: Path, files: generated.Files, name: str) -> Path:
    """A plain clone of a repository that has these files."""
    folder.mkdir(parents=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for words in (
        ("init", "-q", "-b", "main"),
        ("remote", "add", "origin", f"https://git.example.com/ml/{name}.git"),
        ("add", "-A"),
        ("commit", "-qm", "All of it"),
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def by_mlrun(python: Path, recorder: Recorder, folders: list[Path]) -> None:
    environment = {**ENVIRONMENT, "HOME": str(folders[0].parent), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, cold.__file__, recorder.url, *folders],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("saved generated-") == len(folders)


def by_us(runner: Runner, files: generated.Files, name: str) -> Documents:
    result = runner.load(files, project={"source": f"git://git.example.com/ml/{name}.git#refs/heads/main"}).result
    workflows = {one["name"]: msgspec.convert(one, Workflow) for one in result.pop("workflows")}
    resolved = msgspec.convert({**result, "workflows": msgspec.to_builtins(workflows)}, Resolved)
    return documents(resolved, images=Images(), python="3.11", source=SOURCE, origin="https://git.example.com/x#1")


def normalized(document: Json) -> Json:
    """Without source, images, code_origin and owner: what the guide says is ours. Nothing else."""
    found: Json = _without(document)
    return found


OURS = frozenset({"source", "origin_url", "code_origin", "owner"})
IMAGES = frozenset({"image", "default_image", "base_image"})


def _without(value: Any, path: tuple[str, ...] = ()) -> Any:
    if isinstance(value, dict):
        ours = OURS | IMAGES if not {"params", "annotations", "labels"} & set(path) else frozenset()
        return {key: _without(one, (*path, key)) for key, one in value.items() if key not in ours}
    return [_without(one, path) for one in value] if isinstance(value, list) else value


@pytest.fixture
def target() -> Iterator[tuple[MlrunTarget, Recorder]]:
    """Ours, and what it sent."""
    with Recorder() as recorder:
        api = MlrunApi(Settings.model_validate({"mlrun": {"api": recorder.url, "source": "git"}}))
        yield MlrunTarget(api), recorder
        api.close()


@pytest.mark.parametrize("first", range(0, PROJECTS, CHUNK))
def test_the_bodies_are_those_that_mlruns_client_sends(
    first: int, runner_python: Path, runner: Runner, target: tuple[MlrunTarget, Recorder], tmp_path: Path
) -> None:
    with Recorder() as theirs:
        are_equal(range(first, first + CHUNK), theirs, runner_python, runner, target, tmp_path)


@pytest.mark.runners
def test_so_are_those_of_the_newest_mlruns_client(
    program: Path, target: tuple[MlrunTarget, Recorder], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    version = SUPPORTED[-1]
    python = ensure_environment(settings_for(version), say).python
    socket = tmp_path_factory.mktemp("newest") / "socket"
    with WarmParent(python, program, socket), Recorder(version) as theirs:
        runner = Runner(python, program, tmp_path / "jobs", socket)
        are_equal(range(PROJECTS, PROJECTS + SAMPLE), theirs, python, runner, target, tmp_path)


def are_equal(
    seeds: range, theirs: Recorder, python: Path, runner: Runner, target: tuple[MlrunTarget, Recorder], folder: Path
) -> None:
    """What the client of `python`'s MLRun sends, and what we send of what that MLRun loads."""
    saves, ours = target
    folders = [clone(folder / f"generated-{seed}", generated.project(seed), f"generated-{seed}") for seed in seeds]
    by_mlrun(python, theirs, folders)
    for seed in seeds:
        wanted = by_us(runner, generated.project(seed), f"generated-{seed}")
        name = str(wanted.project["metadata"]["name"])
        saves.apply(name, wanted, plan_writes(Saving(wanted=wanted, there=There())), There(), lambda: None)
    assert {name: normalized(one) for name, one in ours.projects.items()} == {
        name: normalized(one) for name, one in theirs.projects.items()
    }
    assert {key: normalized(one) for key, one in ours.functions.items()} == {
        key: normalized(one) for key, one in theirs.functions.items()
    }
    assert len(ours.projects) == len(seeds)
    assert len(ours.functions) > len(seeds)
    print(f"{len(ours.projects)} projects and {len(ours.functions)} functions: the bodies are the same")
