"""What we send to have an image built, and what `project.build_image` of MLRun's own client sends: equal but for the name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.domain.image_build import ImageBuild
from tests.peers.mlrun_api.recording import Answer, Asked, Recording
from tests.peers.runner_python import runner_python

__all__ = ["runner_python"]

pytestmark = [pytest.mark.runner, pytest.mark.slow]

BUILD = """\
import json, sys
import mlrun

print("EMPTY", json.dumps(mlrun.new_function("x", kind="job").to_dict()))
for wish in json.loads(sys.argv[1]):
    project = mlrun.projects.MlrunProject.from_dict({"metadata": {"name": "fraud"}, "spec": {"source": wish.pop("source")}})
    project.build_image(set_as_default=False, overwrite_build_params=True, **wish)
"""
BASE = "docker.io/mlrun/mlrun-kfp:1.9.2"
COMMIT = "a" * 40
SOURCE = f"git://git.example.com/ml/fraud.git#refs/heads/main#{COMMIT}"
PACKAGES = ("iniconfig==2.0.0 --hash=sha256:" + "b" * 64, "tabulate[widechars]>=0.9,<1; python_version < '3.12'")
WANTED = [
    ImageBuild(project="fraud", base_image=BASE, requirements=PACKAGES),
    ImageBuild(project="fraud", base_image=BASE, requirements=("iniconfig",), commit=COMMIT, target_dir="."),
    ImageBuild(project="fraud", base_image=BASE, requirements=("iniconfig",), commit=COMMIT, target_dir="project"),
    ImageBuild(project="fraud", base_image=BASE, commit=COMMIT, target_dir="/opt/project"),
]


def answer(asked: Asked) -> Answer:
    """As a server that has the image already."""
    if asked.path.endswith("client-spec"):
        return 200, b'{"version": "1.9.2"}'
    built = {"status": {"state": "ready"}, "spec": {"image": "built", "build": {}}}
    return 200, json.dumps({"data": built, "ready": True}).encode()


def over(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`given`, completed by what the client writes into a function that nobody said anything of."""
    return {
        key: over(defaults[key], given[key])
        if isinstance(defaults.get(key), dict) and isinstance(given.get(key), dict)
        else given.get(key, defaults.get(key))
        for key in {**defaults, **given}
    }


def test_the_request_is_the_clients(runner_python: Path, tmp_path: Path) -> None:
    wishes = [
        {
            "image": one.image,
            "base_image": one.base_image,
            "requirements": one.pip,
            "source": SOURCE if one.commit else None,
            "target_dir": None if one.target_dir == "." else one.target_dir,
        }
        for one in WANTED
    ]
    with Recording("http://127.0.0.1:9", answer) as between:
        said = subprocess.run(
            [runner_python, "-W", "ignore", "-c", BUILD, json.dumps(wishes)],
            cwd=tmp_path,
            env={"MLRUN_DBPATH": between.url, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "USER": "tester"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert said.returncode == 0, said.stderr
    empty = json.loads(next(line for line in said.stdout.splitlines() if line.startswith("EMPTY")).partition(" ")[2])
    empty["spec"].pop("image", None)
    theirs = [json.loads(asked.body) for asked in between.asked if asked.path == "/api/v1/build/function"]
    assert len(theirs) == len(WANTED)
    for one, sent in zip(WANTED, theirs, strict=True):
        ours = one.request(SOURCE if one.commit else None)
        ours["function"] = over(empty, ours["function"])
        ours["function"]["metadata"]["name"] = sent["function"]["metadata"]["name"]
        ours["function"]["metadata"].pop("tag", None)
        assert ours == sent
