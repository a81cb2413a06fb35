from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.launchers.process.trash import Trash
from tests.waiting import until


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> Iterator[Path]:
        raise OSError(errno.EMFILE, "Too many open files")

    trash = Trash(tmp_path)
    jobs = [tmp_path / str(number) for number in range(12)]
    for job in jobs:
        (job / "deep").mkdir(parents=True)
    pool = ThreadPoolExecutor(1)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        taking = pool.submit(list, map(trash.take, jobs))
        try:
            taking.result(20)
        finally:
            for _ in range(0 if taking.done() else len(jobs)):
                trash._waiting.get()
            pool.shutdown()
    until(lambda: not list((tmp_path / ".trash").iterdir()), "all to be removed")
    trash.close()
