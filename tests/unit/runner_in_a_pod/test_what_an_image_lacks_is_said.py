from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.launchers.document import needs_of
from service.launchers.pack import pack
from service.workflow_runner.pod import preflight

NEEDS = {"python": "3.9", "mlrun": "1.9", "kfp": "1.8"}
FOUND = {"python": "3.9.18", "mlrun": "1.9.2", "kfp": "1.8.22", "unwritable": []}
POD = Path(preflight.__file__).parent


@pytest.mark.parametrize(
    ("found", "needs", "said"),
    [
        ({}, {}, []),
        ({"python": "3.11.7"}, {}, []),
        ({"python": "3.8.10"}, {}, ["Python 3.8.10 found, 3.9 needed"]),
        ({"mlrun": None}, {}, ["mlrun missing, 1.9 needed"]),
        ({"mlrun": "1.10.4"}, {}, ["mlrun 1.10.4 found, 1.9 needed"]),
        ({"mlrun": "1.9.2rc3"}, {}, []),
        ({"mlrun": "unknown"}, {}, []),
        ({"kfp": "2.9.0"}, {}, ["kfp 2.9.0 found, 1.8 needed"]),
        ({"kfp": "2.9.0"}, {"kfp": ""}, []),
        ({"kfp": None}, {"kfp": ""}, ["kfp missing"]),
        ({"kfp": None}, {"kfp": None}, []),
        ({"unwritable": ["HOME=/ is not writable (x)"]}, {}, ["HOME=/ is not writable (x)"]),
    ],
)
def test_what_is_found_is_held_against_what_is_needed(
    found: dict[str, object], needs: dict[str, object], said: list[str]
) -> None:
    assert preflight.faults({**FOUND, **found}, {**NEEDS, **needs}) == said


def test_each_mlrun_needs_its_python_and_its_kfp() -> None:
    assert needs_of("1.9.2") == NEEDS
    assert needs_of("1.12.1") == {"python": "3.11", "mlrun": "1.12", "kfp": ""}


def test_folders_that_cannot_be_written_to_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", "/proc")
    monkeypatch.delenv("HOME")
    home, tmp = preflight.find()["unwritable"]
    assert home == "HOME is not set"
    assert tmp.startswith("TMPDIR=/proc is not writable (")


def test_a_python_that_is_too_old_can_say_so() -> None:
    """What is imported before that is compared is Python 3.7."""
    for name in ("__init__.py", "companion.py", "preflight.py", "secret.py", "service.py"):
        for path in (POD / name, POD.parent / "__init__.py", POD.parent / "__main__.py"):
            ast.parse(path.read_text(), feature_version=(3, 7))


@pytest.mark.parametrize("minor", [7, 8])
def test_a_real_old_python_says_so(tmp_path: Path, minor: int) -> None:
    found = sorted((Path.home() / ".pyenv/versions").glob(f"3.{minor}.*/bin/python"))
    if not found:
        pytest.skip(f"there is no Python 3.{minor} here")
    look = (
        "import json, sys; sys.path.insert(0, sys.argv[1]);"
        "from mlrun_gitops_runner.pod import companion, preflight;"
        "print(json.dumps(preflight.faults(preflight.find(), json.loads(sys.argv[2]))))"
    )
    said = subprocess.run(
        [found[0], "-c", look, pack(tmp_path), json.dumps(NEEDS)],
        env={"HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"Python 3.{minor}." in json.loads(said)[0]


def test_the_archive_runs_both_ways(tmp_path: Path) -> None:
    """As a runner it asks for a job document, as a companion for its secret; neither needs more than the one file."""
    program = pack(tmp_path)
    for arguments, words in (["/nowhere.json"], "nowhere.json"), (["--pod", "/nowhere"], "/nowhere/id cannot be read"):
        ended = subprocess.run(
            [sys.executable, program, *arguments], capture_output=True, text=True, check=False, env={**os.environ}
        )
        assert ended.returncode == 2
        assert words in ended.stderr
