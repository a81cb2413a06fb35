"""A job document that is wrong is refused by the field, before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.workflow_runner.job import BadJobError, parse, read, without_credentials


def document(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    project = {"path": ".", "name": None, "repository_name": "demo", "source": ""}
    return {
        "version": 1,
        "id": "j",
        "kind": "load",
        "source": str(tmp_path),
        "folder": str(tmp_path),
        "project": project,
        **fields,
    }


RUN = {"kind": "run", "engine": "kfp", "workflow": {"name": "w"}, "resolved": {"project": {}, "functions": {}}}


def test_a_load_and_a_run_are_read(tmp_path: Path) -> None:
    assert parse(document(tmp_path)).check is None
    job = parse(document(tmp_path, **RUN, arguments={"a": 1}))
    assert (job.kind, job.arguments, job.directory) == ("run", {"a": 1}, str(tmp_path.resolve()))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"version": 2}, "version: 2 is not 1"),
        ({"kind": "dance"}, "kind: 'dance'"),
        ({"kind": ["load"]}, "kind: "),
        ({"id": ""}, "id: '' is not a text"),
        ({"source": "here"}, "source: 'here' is not the absolute path"),
        ({"folder": "/gone/for/good"}, "folder: '/gone/for/good'"),
        ({"source": "/tmp\0"}, "source"),
        ({"project": None}, "project: None is not an object"),
        ({"project": {}}, "project.path"),
        ({"project": {"path": ".", "name": "A b", "repository_name": "r", "source": ""}}, "project.name: 'A b'"),
        ({"check": "main"}, "check: must be null or a list"),
        ({"setup_parameters": [1]}, "setup_parameters: [1] is not an object"),
        ({**RUN, "resolved": {"project": {}}}, "resolved.functions"),
        ({**RUN, "workflow": {}}, "workflow.name"),
        ({**RUN, "engine": "remote"}, "engine: 'remote' is not one of kfp, local"),
        ({**RUN, "arguments": [1]}, "arguments: [1] is not an object"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadJobError) as caught:
        parse(document(tmp_path, **fields))
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"version": 1}'])
def test_what_is_no_job_at_all_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "job").write_text(text)
    with pytest.raises(BadJobError):
        read(str(tmp_path / "job"))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadJobError, match="cannot be read"):
        read(str(tmp_path / "gone"))


def test_a_job_survives_its_file(tmp_path: Path) -> None:
    (tmp_path / "job").write_text(json.dumps(document(tmp_path)))
    assert read(str(tmp_path / "job")).id == "j"


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:token@git.example.com/a.git#refs/heads/x", "https://git.example.com/a.git#refs/heads/x"),
        ("git://token@git.example.com/a.git", "git://git.example.com/a.git"),
        ("https://a:b@c@git.example.com/a", "https://git.example.com/a"),
        ("https://git.example.com/a@b", "https://git.example.com/a@b"),
        ("git@git.example.com:a/b.git", "git@git.example.com:a/b.git"),
        ("", ""),
    ],
)
def test_a_source_loses_its_credentials(url: str, clean: str) -> None:
    assert without_credentials(url) == clean
