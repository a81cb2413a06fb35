from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.integration.launcher.conftest import Bench

needs_own_user = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give jobs a user of their own")


def told_by(bench: Bench, code: str, **more: Any) -> Any:
    """What the job's expression `told` was."""
    job = bench.start(f"{code}\nimport json\nopen(folder + '/told', 'w').write(json.dumps(told))", **more)
    bench.follow(job)
    assert (bench.folder(job) / "told").exists(), bench.text(job)
    return json.loads((bench.folder(job) / "told").read_text())


def test_the_environment_is_made_from_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITOPS_MLRUN__RUNNER_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = told_by(bench, "import os\ntold = dict(os.environ)", environment={"ROWS": "5"})
    assert isinstance(environment, dict)
    environment.pop("LC_CTYPE", None)  # Python's own, for a locale of C
    assert sorted(environment) == ["GITOPS_JOB", "HOME", "LANG", "LOGNAME", "PATH", "ROWS", "TMPDIR", "USER"]
    assert environment["ROWS"] == "5"
    assert environment["HOME"].startswith(str(bench.settings.launcher.runs_dir))


def test_home_and_temporary_folder_are_the_jobs_own(bench: Bench) -> None:
    code = """
import os, tempfile
open(os.path.expanduser("~/file"), "w").close()
told = [tempfile.mkdtemp(), os.path.expanduser("~"), oct(os.stat(os.environ["HOME"]).st_mode)]
"""
    temporary, home, mode = told_by(bench, code)
    assert temporary.startswith(str(bench.settings.launcher.runs_dir))
    assert home.endswith("/folder/home")
    assert mode == "0o40700"


def test_it_has_no_file_open_but_its_own(bench: Bench) -> None:
    links = "['/proc/self/fd/' + fd for fd in os.listdir('/proc/self/fd') if fd > '2']"
    files = told_by(bench, f"import os\ntold = [os.readlink(link) for link in {links} if os.path.lexists(link)]")
    own = str(bench.settings.launcher.runs_dir)
    assert [name for name in files if not name.startswith((own, "/proc/")) or name.endswith("/lock")] == []


def test_it_starts_in_the_projects_directory(bench: Bench) -> None:
    def source(into: Path) -> None:
        (into / "models" / "fraud").mkdir(parents=True)

    code = "import os\ntold = os.getcwd()"
    assert str(told_by(bench, code, source=source, project={"path": "models/fraud"})).endswith("/source/models/fraud")
    assert str(told_by(bench, code, source=source, project={"path": "../../.."})).endswith("/source")


def test_it_may_write_to_its_source(bench: Bench) -> None:
    code = "open(source + '/a.txt', 'a').write('more')\nos = __import__('os')\nos.mkdir(source + '/new')\ntold = os.listdir(source)"
    assert sorted(told_by(bench, code)) == ["a.txt", "new"]


@needs_own_user
def test_its_user_is_its_own_and_has_no_groups(bench: Bench) -> None:
    if bench.launcher._user is None:
        pytest.skip("this bench has none")
    code = "import os\ntold = [os.getresuid(), os.getresgid(), os.getgroups()]"
    assert told_by(bench, code) == [[64998] * 3, [64998] * 3, []]


@needs_own_user
def test_it_reads_neither_the_services_memory_nor_its_data_nor_other_jobs_secrets(bench: Bench, ground: Path) -> None:
    if bench.launcher._user is None:
        pytest.skip("this bench has none")
    data = ground / "data"
    data.mkdir(mode=0o700)
    (data / "secret").write_text("secret")
    other = bench.start("pass", environment={"TOKEN": "secret"})
    bench.follow(other)
    folder = bench.folder(other).parent
    paths = [f"/proc/{os.getpid()}/environ", str(data / "secret"), str(folder / "start.json"), str(folder / "log")]
    paths += [f"/proc/{os.getpid()}/fd/0", "/etc/shadow"]
    code = f"""
import os
told = []
for path in {paths!r}:
    try:
        open(path).close()
        told.append(path)
    except PermissionError:
        pass
for path in {[str(folder), str(ground / "runs")]!r}:
    try:
        told.append(os.listdir(path))
    except PermissionError:
        pass
"""
    assert told_by(bench, code) == []


@needs_own_user
def test_it_changes_nothing_that_says_how_it_runs(bench: Bench) -> None:
    if bench.launcher._user is None:
        pytest.skip("this bench has none")
    code = """
import os
top = os.path.dirname(folder)
told = []
for name in ("ended", "cancelled", "lock", "log", "job.json", "started", "new"):
    try:
        open(os.path.join(top, name), "a").close()
        told.append(name)
    except PermissionError:
        pass
try:
    os.rename(folder, folder + "x")
    told.append("renamed")
except PermissionError:
    pass
try:
    os.kill(os.getppid(), 9)
    told.append("killed its keeper")
except PermissionError:
    pass
"""
    assert told_by(bench, code) == []


def test_what_the_service_writes_of_a_job_is_not_for_others(bench: Bench) -> None:
    job = bench.start("pass", environment={"TOKEN": "secret"})
    bench.follow(job)
    top = bench.folder(job).parent
    for name in ("start.json", "ended", "lock", "log", "started"):
        assert stat.S_IMODE((top / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((top / "job.json").stat().st_mode) == 0o640
