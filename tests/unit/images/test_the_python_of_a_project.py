from __future__ import annotations

import pytest

from service.domain import python_version
from service.domain.projects import Declaration
from service.domain.python_version import Said
from service.reconciler.images import said_python


class Folder:
    """Files by path."""

    def __init__(self, **files: str) -> None:
        self.files = {
            name.replace("__", "/").replace("python_version", ".python-version"): files[name] for name in files
        }

    def read(self, path: str) -> bytes | None:
        return self.files[path].encode() if path in self.files else None

    def names(self, folder: str) -> list[str] | None:
        inside = f"{folder}/" if folder else ""
        return (
            sorted({path.removeprefix(inside).split("/")[0] for path in self.files if path.startswith(inside)}) or None
        )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.11", "3.11"),
        ("3.11.7\n", "3.11"),
        ("# ours\n\n3.9.18 # pinned\n3.11.7\n", "3.9"),
        ("cpython-3.11.7-linux-x86_64-gnu", "3.11"),
        ("python@3.9", "3.9"),
        ("3.11.7/envs/fraud", "3.11"),
        ("3.12-dev", "3.12"),
        ("fraud-env\n3.11\n", None),
        ("pypy3.9-7.3.11", None),
        ("system", None),
        ("3", None),
        ("2.7.18", None),
        ("3.111", None),
        ("", None),
        ("\0\xff", None),
    ],
)
def test_a_python_version_file_is_read_as_pyenv_and_uv_write_it(text: str, version: str | None) -> None:
    assert python_version.parse(text.encode()) == version


def test_what_gitops_yaml_says_counts() -> None:
    assert said_python(Folder(python_version="3.11"), Declaration(python="3.9")) == Said("3.9", ".gitops.yaml")


def test_then_the_nearest_python_version_file() -> None:
    files = Folder(python_version="3.9", ml__python_version="3.11", other__python_version="3.10")
    assert said_python(files, Declaration(path="ml/fraud")) == Said("3.11", "ml/.python-version")
    assert said_python(files, Declaration(path="vision")) == Said("3.9", ".python-version")
    assert said_python(files, Declaration()) == Said("3.9", ".python-version")


def test_a_file_that_names_no_version_hides_those_above_it_and_says_nothing() -> None:
    files = Folder(python_version="3.9", ml__python_version="fraud-env")
    assert said_python(files, Declaration(path="ml")) is None


def test_without_any_the_project_says_nothing() -> None:
    assert said_python(Folder(), Declaration(path="a/b")) is None
