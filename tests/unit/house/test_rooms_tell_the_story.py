"""What a newcomer relies on: front doors, small modules, one error tree, names that say something."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from service import errors
from tests.unit.house.tree import HOUSE, modules, name

# One noun a module; a longer one has become two.
_LINES = 400
_WORDLESS = {"utils", "util", "helpers", "common", "manager", "base", "misc"}
# What the runner may import beside the standard library: MLRun, kfp, and what mlrun itself is made of.
_OF_THE_RUNNER = {"mlrun", "mlrun_pipelines", "kfp", "yaml", "dependency_injector", "numpy"}


def _syntax(path: Path, python: tuple[int, int] | None = None) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=python)


def _imported(path: Path) -> set[str]:
    """Top-level names of absolute imports, wherever in the module they stand."""
    found: set[str] = set()
    for node in ast.walk(_syntax(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_module_says_why_it_exists() -> None:
    written = [path for path in modules() if path.read_text(encoding="utf-8").strip()]
    assert not [name(path) for path in written if not ast.get_docstring(_syntax(path))]


def test_every_room_has_a_front_door_that_introduces_it() -> None:
    rooms = {path.parent for path in modules() if "versions" not in path.parts}
    closed = [name(room) for room in sorted(rooms) if not (room / "__init__.py").is_file()]
    assert not closed, f"no __init__.py: {closed}"
    silent = [name(room) for room in sorted(rooms) if not ast.get_docstring(_syntax(room / "__init__.py"))]
    assert not silent, f"no docstring in the __init__.py of: {silent}"


def test_no_module_has_outgrown_one_noun() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert not {path: lines for path, lines in lengths.items() if lines > _LINES}


def test_no_module_is_called_by_a_word_that_says_nothing() -> None:
    assert not [name(path) for path in modules() if path.stem in _WORDLESS or path.parent.name in _WORDLESS]


def test_handlers_stand_alone() -> None:
    ours = {
        name(path): _imported(path) & {"service", "tests"}
        for path in modules()
        if path.is_relative_to(HOUSE / "handlers")
    }
    assert ours
    assert not {path: names for path, names in ours.items() if names}


def test_the_workflow_runner_is_python_39_with_mlrun_and_nothing_else() -> None:
    of_the_runner = [path for path in modules() if path.is_relative_to(HOUSE / "service/workflow_runner")]
    assert of_the_runner
    known = sys.stdlib_module_names | _OF_THE_RUNNER
    for path in of_the_runner:
        _syntax(path, (3, 9))
        assert not _imported(path) - known, f"{name(path)} imports what a stock image may lack"


def _drawn() -> dict[str, str]:
    """The tree in the docstring of service/errors.py: each error and its parent."""
    parents: dict[str, str] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if not (found := re.match(r"((?:│   |    )*)([├└]── )?(\w+Error|\w+)", line)) or not (found[2] or branch == []):
            continue
        if found[2] is None and found[3] != "GitopsError":
            continue
        depth = len(found[1]) // 4 + (1 if found[2] else 0)
        branch[depth:] = [found[3]]
        if depth:
            parents[found[3]] = branch[depth - 1]
    return parents


def test_the_drawing_of_the_error_tree_is_the_error_tree() -> None:
    real = {
        kind.__name__: kind.__bases__[0].__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.GitopsError) and kind is not errors.GitopsError
    }
    assert _drawn() == real


def test_no_room_grows_an_error_tree_of_its_own() -> None:
    tree = {kind for kind, value in vars(errors).items() if isinstance(value, type)} - {"Sequence", "HTTPStatus"}
    strays = []
    for path in modules():
        if path == HOUSE / "service/errors.py":
            continue
        for node in ast.walk(_syntax(path)):
            if isinstance(node, ast.ClassDef):
                bases = {base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases}
                strays += [f"{name(path)}: {node.name}" for _ in bases & tree]
    assert not strays, f"these belong to service/errors.py: {strays}"
