"""The git that goes on answering: it agrees with git's own words, ends when it should, and is replaced when it fails."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service import limits
from service.source.git import Git, GitError
from service.source.objects import Objects
from tests.integration.source.conftest import Place
from tests.waiting import until


@contextmanager
def objects_of(place: Place) -> Iterator[Objects]:
    objects = Objects(Git(place.mirror, home=place.data / "mirrors" / ".home"))
    try:
        yield objects
    finally:
        objects.close()


def talking(place: Place) -> list[int]:
    """Gits that wait for questions about this mirror."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"cat-file" in words and b"GIT_DIR=" + os.fsencode(place.mirror) in environment:
            found.append(int(process.name))
    return found


def test_what_differs_is_what_git_says(place: Place) -> None:
    before = place.push({"a/b/c.txt": "1", "a/b/d.txt": "1", "e.txt": "1", "turns": "file", "g/h": "1"})
    (place.work.path / "e.txt").chmod(0o755)
    after = place.push({"a/b/c.txt": "2", "a/b/d.txt": None, "a/new/deep/x": "1", "turns": None, "turns/folder": "1"})
    place.fetch()
    said = place.repository.git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", before, after).split(
        "\0"
    )
    wanted = {path: line.lstrip(":").split()[:4] for line, path in zip(said[::2], said[1::2], strict=False)}
    with objects_of(place) as objects:
        found = {
            change.path.decode(): [
                change.before.mode.decode() if change.before else "000000",
                change.after.mode.decode() if change.after else "000000",
                change.before.id if change.before else "0" * 40,
                change.after.id if change.after else "0" * 40,
            ]
            for change in objects.changes(objects.root(before), objects.root(after))
        }
    assert found == wanted
    assert len(found) == 6


def test_the_last_commits_and_folders_are_at_hand_and_no_others(place: Place) -> None:
    first = place.push({"a.txt": "1"})
    place.fetch()
    with objects_of(place) as objects:
        tree = objects.root(first)
        assert objects.folder(tree)
        (pid,) = talking(place)
        os.kill(pid, signal.SIGSTOP)  # whatever is asked of it now is not answered
        try:
            assert objects.root(first) == tree
            assert set(objects.folder(tree)) == {b"a.txt"}
        finally:
            os.kill(pid, signal.SIGCONT)
        for number in range(70):
            place.work.commit({"a.txt": str(number)}, "Change")
        place.work.push("HEAD:refs/heads/main")
        place.fetch()
        for commit in place.repository.git("rev-list", "main").split():
            assert objects.root(commit)
        assert len(objects._contents._running.kept) == 64  # type: ignore[union-attr]  # it runs


def test_what_the_mirror_before_had_is_not_at_hand_in_the_next(place: Place) -> None:
    commit = place.push({"a.txt": "1"})
    place.fetch()
    with objects_of(place) as objects:
        assert objects.root(commit)
        place.mirror.rename(place.mirror.with_name("before.git"))
        place.repository.git("init", "--quiet", "--bare", str(place.mirror))
        with pytest.raises(GitError):
            objects.root(commit)


def test_a_git_that_was_killed_is_replaced(place: Place) -> None:
    commit = place.push({"a.txt": "1"})
    place.fetch()
    with objects_of(place) as objects:
        assert objects.root(commit)
        (pid,) = talking(place)
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in talking(place), "it to end")
        assert objects.root(commit)
        (other,) = talking(place)
        assert other != pid
    assert not talking(place)


def test_a_new_commit_is_known_as_soon_as_it_is_fetched(place: Place) -> None:
    first = place.push({"a.txt": "1"})
    place.fetch()
    with objects_of(place) as objects:
        objects.root(first)
        second = place.push({"a.txt": "2"})
        with pytest.raises(GitError) as refused:
            objects.root(second)
        assert "missing object" in refused.value.stderr
        place.fetch()
        assert objects.root(second) != objects.root(first)


def test_a_tree_that_is_larger_than_anything_is_not_compared_to_its_end(place: Place) -> None:
    """Each of forty trees holds the next one twice: 2^40 folders in forty objects."""
    empty = place.push({"a.txt": "1"})
    git = place.repository.git
    tree = git("mktree", stdin=b"100644 blob " + git("rev-parse", f"{empty}:a.txt").encode() + b"\tf\n")
    for _ in range(40):
        tree = git("mktree", stdin=f"040000 tree {tree}\ta\n040000 tree {tree}\tb\n".encode())
    bomb = git("commit-tree", tree, "-p", empty, "-m", "boom")
    git("update-ref", "refs/heads/main", bomb)
    place.fetch()
    with objects_of(place) as objects, pytest.raises(GitError) as refused:
        list(objects.changes(objects.root(empty), objects.root(bomb)))
    assert refused.value.too_much


def test_pipes_of_one_page_are_large_enough(place: Place) -> None:
    """Linux gives no larger ones to a user who has very many."""
    commit = place.push({f"f{n}": str(n) for n in range(500)})
    place.fetch()
    with objects_of(place) as objects:
        blobs = [entry.id for entry in objects.folder(objects.root(commit)).values()]
        process = objects._headers._present()._process
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        assert sum(objects.sizes(blobs)) == sum(len(str(n)) for n in range(500))


def test_no_more_gits_wait_than_there_may_be(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MIRRORS_AT_HAND", 1)
    commit = place.push({"a.txt": "1"})
    place.fetch()
    assert place.source.read_file("fraud", commit, "a.txt") == b"1"
    assert talking(place)
    place.source._mirrors.of("another")
    assert not talking(place)
