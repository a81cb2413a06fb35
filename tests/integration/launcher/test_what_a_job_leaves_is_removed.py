"""A job's files are out of the way at once, and gone from the disk soon after, also when the service was killed in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.errors import RunnerEnvironmentError
from service.launchers.process.supply import Supplies
from tests.integration.launcher.conftest import Bench
from tests.waiting import until


def trash_of(bench: Bench, job: str) -> Path:
    return bench.launcher._folder(job).path.parent / ".trash"


def test_the_source_of_a_cleaned_job_is_gone_at_once_and_from_the_disk_soon(bench: Bench) -> None:
    job = bench.start("import os\nos.makedirs(f'{source}/a/b')\nopen(f'{source}/a/b/c', 'w').close()")
    bench.follow(job)
    source = bench.launcher._folder(job).source
    assert (source / "a/b/c").exists()
    bench.launcher.clean(job)
    assert not source.exists()
    until(lambda: not os.listdir(trash_of(bench, job)), "the trash to be empty")


def test_a_job_cannot_hold_on_to_its_files(bench: Bench) -> None:
    job = bench.start(
        "import os\nos.mkdir(f'{source}/a')\nopen(f'{source}/a/b', 'w').close()\nos.chmod(f'{source}/a', 0)\nos.chmod(source, 0)"
    )
    bench.follow(job)
    bench.launcher.clean(job)
    assert not bench.launcher._folder(job).source.exists()
    until(lambda: not os.listdir(trash_of(bench, job)), "the trash to be empty")


def test_no_depth_of_folders_is_too_great_to_be_removed(bench: Bench) -> None:
    """Deeper than Python's stack, than a path may be long and than there may be descriptors."""
    job = bench.start(
        """
        import os
        for top in (source, folder):
            os.chdir(top)
            for _ in range(3000):
                os.mkdir("d")
                os.chdir("d")
        """
    )
    bench.follow(job)
    bench.launcher.clean(job)
    assert os.listdir(bench.folder(job)) == ["artifacts"]
    until(lambda: not os.listdir(trash_of(bench, job)), "the trash to be empty")


def test_what_cannot_be_moved_is_removed_where_it_is(bench: Bench) -> None:
    """As on a disk that is full; here something else has the trash's name."""
    job = bench.start("open(f'{source}/a', 'w').close()")
    bench.follow(job)
    trash_of(bench, job).touch()
    bench.launcher.clean(job)
    assert not bench.launcher._folder(job).source.exists()


def test_what_a_killed_service_left_is_removed_by_the_next_also_where_no_job_can_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = bench.start("pass")
    bench.follow(job)
    left = [trash_of(bench, job) / f"0123456789abcde{n}" for n in range(9)]
    for one in left:
        (one / "many").mkdir(parents=True)
        (one / "many" / "files").touch()

    def missing() -> Supplies:
        raise RunnerEnvironmentError("there is no Python 3.9")

    monkeypatch.setattr(bench.supply, "standard", missing)
    with pytest.raises(RunnerEnvironmentError):
        bench.launcher.prepare()
    until(lambda: not os.listdir(trash_of(bench, job)), "what was left to be gone")
