from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from service.errors import CheckoutFailed
from service.source.archive import Archives


def commit(n: int) -> str:
    return f"{n:040x}"


def writes(content: bytes) -> Callable[[IO[bytes]], object]:
    return lambda file: file.write(content)


def kept(folder: Path) -> set[str]:
    return {path.name[:40] for path in folder.iterdir()}


def put(archives: Archives, n: int, size: int = 100, age: int = 0) -> None:
    """An archive that was last asked for `age` seconds ago."""
    archives.open(commit(n), writes(bytes([n]) * size)).file.close()
    (path,) = archives._folder.glob(f"{commit(n)}-*")
    status = path.stat()
    os.utime(path, (status.st_atime - age, status.st_mtime - age))


def test_those_that_nobody_asked_for_the_longest_make_room(tmp_path: Path) -> None:
    archives = Archives(tmp_path, quota=300)
    for n in (1, 2, 3):
        put(archives, n, age=100 - n)
    archives.open(commit(1), writes(b"never called")).file.close()
    put(archives, 4)
    assert kept(tmp_path) == {commit(1), commit(3), commit(4)}
    put(archives, 5, size=1000)
    assert kept(tmp_path) == {commit(5)}


def test_one_that_is_being_sent_is_not_deleted(tmp_path: Path) -> None:
    archives = Archives(tmp_path, quota=100)
    sending = archives.open(commit(1), writes(b"1" * 100))
    put(archives, 2)
    assert kept(tmp_path) >= {commit(1)}
    with sending.file as file:
        assert file.read() == b"1" * 100
    put(archives, 3)
    assert commit(1) not in kept(tmp_path)


def test_many_who_ask_at_once_have_it_made_once(tmp_path: Path) -> None:
    archives, made, began = Archives(tmp_path), list[int](), threading.Barrier(8)
    found: list[bytes] = []

    def make(file: IO[bytes]) -> None:
        made.append(1)
        file.write(b"content")

    def ask() -> None:
        began.wait()
        with archives.open(commit(1), make).file as file:
            found.append(file.read())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made, found) == ([1], [b"content"] * 8)


def test_many_who_make_room_at_once_are_in_nobodys_way(tmp_path: Path) -> None:
    archives, failed = Archives(tmp_path, quota=300), list[Exception]()

    def churn(first: int) -> None:
        for n in range(first, first + 50):
            try:
                archives.open(commit(n), writes(b"x" * 100)).file.close()
            except (OSError, CheckoutFailed) as error:
                failed.append(error)

    threads = [threading.Thread(target=churn, args=(first,)) for first in (100, 200, 300, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    put(archives, 1)
    assert failed == []
    assert len(kept(tmp_path)) <= 3


def test_who_waits_too_long_is_asked_to_come_again(tmp_path: Path) -> None:
    archives, release, making = Archives(tmp_path, wait_s=0.05), threading.Event(), threading.Event()

    def slow(file: IO[bytes]) -> None:
        making.set()
        release.wait(30)
        file.write(b"x")

    def ask() -> None:
        archives.open(commit(1), slow).file.close()

    thread = threading.Thread(target=ask)
    thread.start()
    making.wait(30)
    with pytest.raises(CheckoutFailed, match="still being made") as caught:
        archives.open(commit(1), slow)
    assert caught.value.retry
    release.set()
    thread.join()
    archives.open(commit(1), slow).file.close()


def test_what_fails_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    archives = Archives(tmp_path)

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        archives.open(commit(1), fail)
    assert list(tmp_path.iterdir()) == []
    with archives.open(commit(1), writes(b"whole")).file as file:
        assert file.read() == b"whole"


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("new", 0)):
        part = tmp_path / f".{commit(1)}.{name}"
        part.touch()
        os.utime(part, (part.stat().st_atime - age, part.stat().st_mtime - age))
    put(Archives(tmp_path), 2)
    assert [path.name for path in tmp_path.glob(".*")] == [f".{commit(1)}.new"]
