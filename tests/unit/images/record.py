"""Asks the released SDKs of MLRun how they complete the names of images, and writes their answers down.

    requirements/registry .venv/bin/python -m tests.unit.images.record [VERSION ...]

Each SDK is installed by uv into an environment that is gone afterwards, on the Python that it needs. A recording holds
what was asked, and of the answers those that differ from the question. Ask again when `matrix` changes, or to add a release.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import uv

from service.launchers.process.interpreter import find_python
from service.settings import load_settings
from tests.unit.images import matrix

RECORDED = Path(__file__).parent / "recorded"


def record(version: str) -> Path:
    """Raises CalledProcessError where uv or the SDK does not run; both say why."""
    python = find_python(load_settings(environ={}), matrix.SDKS[version]).path
    questions = {
        "images": {client: matrix.asked(client) for client in matrix.VERSIONS},
        "pythons": matrix.PYTHONS,
        "registries": matrix.REGISTRIES,
    }
    answered = subprocess.run(
        [
            *(uv.find_uv_bin(), "run", "--no-project", "--isolated", "--python", python),
            *("--with", f"mlrun=={version}", "--with", "setuptools<80"),
            *("python", Path(__file__).with_name("in_sdk.py")),
        ],
        input=json.dumps(questions),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    document = json.loads(answered[answered.index("{") :])
    if document["mlrun"] != version:
        raise ValueError(f"MLRun {document['mlrun']} answered in the place of {version}")
    into = RECORDED / f"mlrun-{version}.json"
    into.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return into


def main(versions: list[str]) -> None:
    RECORDED.mkdir(exist_ok=True)
    for version in versions or matrix.SDKS:
        print(f"asking MLRun {version}", file=sys.stderr, flush=True)
        print(record(version))


if __name__ == "__main__":
    main(sys.argv[1:])
