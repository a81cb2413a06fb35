"""Documents that expand are measured before they are built."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.workflow_runner.errors import ProjectError
from service.workflow_runner.project_file import NODES, parse, setup_warnings


def test_anchors_and_merges_of_honest_files_are_read() -> None:
    text = "base: &base {kind: job, image: mlrun/mlrun}\na: {<<: *base, name: a}\nb: {<<: *base, name: b}\n"
    assert parse(text, "project.yaml")["b"] == {"kind": "job", "image": "mlrun/mlrun", "name": "b"}


def test_two_merges_into_one_mapping_are_no_double_key() -> None:
    assert parse("a: &a {x: 1}\nb: &b {y: 2}\nc: {<<: *a, z: 3, <<: *b}\n", "p")["c"]["z"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: " * 60 + "b",
        "{" * 60 + "}" * 60,
        "- x\n" * (NODES + 1),
        "a: &a [x]\nb: [" + "*a, " * 101 + "]",
        "a: &a [" + "x, " * 20_000 + "]\nb: [*a, *a, *a]",
        "a: &a [*a]",
        "a: *gone",
        "x: !!python/object/new:os.system [ls]",
        "\ufeff\x00",
        "a:\tb: c\n\t- d",
        "? [a, b]\n: c",
    ],
)
def test_what_cannot_be_a_project_ends_in_one_error(text: str) -> None:
    with pytest.raises(ProjectError):
        parse(text, "project.yaml")


def test_a_setup_from_elsewhere_is_a_setup(tmp_path: Path) -> None:
    for text in (
        "from lib import setup\n",
        "setup = make()\n",
        "if True:\n    def setup(p): ...\n",
        "from lib import *\n",
    ):
        (tmp_path / "project_setup.py").write_text(text)
        assert setup_warnings(str(tmp_path / "project_setup.py")) == []
