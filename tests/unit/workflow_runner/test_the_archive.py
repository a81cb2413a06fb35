"""The runner as one file: the same bytes each time, in a language and with imports that the old Python has."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

from service.launchers.pack import SOURCE, archive, pack

PROVIDED = {"mlrun", "mlrun_pipelines", "kfp", "yaml", "dependency_injector"}  # the latter two come with MLRun
MODULES = sorted(SOURCE.rglob("*.py"))


def test_packing_twice_gives_the_same_bytes_and_name(tmp_path: Path) -> None:
    first, second = pack(tmp_path / "a"), pack(tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes() == archive()
    assert [path.name for path in (tmp_path / "a").iterdir()] == [first.name]


def test_packing_mends_a_file_that_was_damaged(tmp_path: Path) -> None:
    path = pack(tmp_path)
    path.write_bytes(b"half")
    assert pack(tmp_path).read_bytes() == archive()


def test_nothing_of_this_machine_is_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(pack(tmp_path)) as packed:
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert all("__pycache__" not in name for name in packed.namelist())


def test_it_is_written_in_python_3_9() -> None:
    for module in MODULES:
        ast.parse(module.read_text(), feature_version=(3, 9))


def test_it_imports_nothing_but_the_standard_library_mlrun_and_kfp() -> None:
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names.append(node.module or "")
            outside = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - PROVIDED
            assert not outside, f"{module.name} imports {outside}"


def test_without_a_job_it_says_how_to_use_it(tmp_path: Path) -> None:
    for arguments in ([], ["--help"], ["a", "b"], ["--warm"]):
        done = subprocess.run([sys.executable, pack(tmp_path), *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("usage: ")


def test_a_bad_job_is_refused_before_mlrun_is_imported(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"version": 7}')
    done = subprocess.run(
        [sys.executable, pack(tmp_path), tmp_path / "job.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2  # this Python has no MLRun
    assert done.stderr == f"{tmp_path / 'job.json'}: version: 7 is not 1\n"
