"""The checkout of a large repository costs by what changed, and is as exact and as private as any other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from service.errors import CheckoutFailed
from tests.integration.source.conftest import Place
from tests.integration.source.test_checkout import assert_exact, found, listed
from tests.waiting import until


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.limits.SPARE_FILES", 3)
    monkeypatch.setattr("service.source.spare._REST_S", 0.0)


def spare_of(place: Place, commit: str) -> Path:
    """The files of the spare that is taken next, once all are there."""
    return spares_of(place, commit)[-1]


def spares_of(place: Place, commit: str) -> list[Path]:
    def made() -> list[Path]:
        return [one.files for one in place.source._checkouts._spares._ready.get("fraud", []) if one.commit == commit]

    until(lambda: len(made()) >= 2, "two spares")
    return made()


def test_the_next_checkout_is_the_spare_with_only_the_change_written(place: Place) -> None:
    first = place.push({f"d/{n}": str(n) for n in range(20)})
    place.fetch()
    place.checkout(first)
    before = {p.name: p.stat().st_mtime_ns for p in (spare_of(place, first) / "d").iterdir()}
    second = place.push({"d/7": "changed"})
    place.fetch()
    out = assert_exact(place, second)
    after = {p.name: p.stat().st_mtime_ns for p in (out / "d").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"7"}


def test_the_same_commit_again_needs_no_write_at_all(place: Place) -> None:
    commit = place.push({f"f{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(commit)
    inode = spare_of(place, commit).stat().st_ino
    assert assert_exact(place, commit).stat().st_ino == inode


def test_every_kind_of_change_comes_out_exact(place: Place) -> None:
    place.work.commit({"a": "1", "b/c": "1", "x": "1", "keep": "1", "gone/deep/er": "1", "mode": "1"})
    (place.work.path / "link").symlink_to("a")
    first = place.push({})
    place.fetch()
    place.checkout(first)
    spare_of(place, first)
    work = place.work.path
    (work / "link").unlink()
    (work / "a").unlink()
    place.work.commit(
        {"a/now/a/folder": "2", "link": "a file", "b/c": None, "gone/deep/er": None, "new\nname": b"\0\r\n"}
    )
    (work / "x").unlink()
    (work / "x").symlink_to("keep")
    (work / "b").rmdir()
    (work / "b").symlink_to("a/now")
    (work / "mode").chmod(0o755)
    second = place.push({})
    place.fetch()
    out = assert_exact(place, second)
    assert not (out / "gone").exists()
    # And all the way back, by a spare of the second.
    place.source._checkouts._spares._ready.clear()
    place.checkout(second)
    spare_of(place, second)
    assert (assert_exact(place, first) / "gone/deep/er").read_text() == "1"


def test_what_user_code_does_to_a_checkout_is_in_no_later_one(place: Place) -> None:
    commit = place.push({f"d/{n}": str(n) for n in range(9)})
    place.fetch()
    for _ in range(3):
        out = place.checkout(commit)
        assert found(out, place.repository.path) == listed(place, commit)
        spare = spare_of(place, commit)
        assert not out.samefile(spare)
        assert not {p.stat().st_ino for p in out.rglob("*")} & {p.stat().st_ino for p in spare.rglob("*")}
        for file in (out / "d").iterdir():
            file.write_text("spoilt in place")
        (out / "junk").write_text("left behind")


def test_hostile_changes_are_refused_on_this_way_too(place: Place, tmp_path: Path) -> None:
    first = place.push({f"f{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(first)
    spare_of(place, first)
    (place.work.path / "out").symlink_to("/etc")
    second = place.push({})
    place.fetch()
    with pytest.raises(CheckoutFailed, match="leads out"):
        place.checkout(second)
    assert_exact(place, first)


def test_a_spare_whose_commit_went_with_the_old_mirror_is_no_harm(place: Place) -> None:
    first = place.push({f"f{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(first)
    spare_of(place, first)
    place.work.git("checkout", "--quiet", "--orphan", "other")
    second = place.work.commit({"f1": "other"})
    place.work.push("HEAD:refs/heads/main", force=True)
    place.mirror.rename(place.mirror.with_suffix(".away"))
    place.fetch()
    assert_exact(place, second)


def test_a_job_folder_on_another_file_system_is_no_harm(place: Place) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == place.data.parent.stat().st_dev:
        pytest.skip("there is no second file system here")
    commit = place.push({f"f{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(commit)
    spare = spare_of(place, commit)
    into = shm / f"{place.data.parent.name}-{os.getpid()}"
    try:
        out = place.source.checkout("fraud", commit, into).path
        assert found(out, place.repository.path) == listed(place, commit)
        assert spare.is_dir(), "it could not be moved there, so it is kept for who can use it"
    finally:
        shutil.rmtree(into, ignore_errors=True)


def test_small_repositories_keep_no_spare(place: Place) -> None:
    commit = place.push({"a": "1", "b": "1"})
    place.fetch()
    place.checkout(commit)
    assert not place.source._checkouts._spares._making
    assert not place.source._checkouts._spares._ready


def test_on_a_disk_that_is_nearly_full_the_room_is_for_jobs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = place.push({f"f{n}": "x" * 100_000 for n in range(9)})
    place.fetch()
    free = 3_000_000
    real = os.statvfs(place.data)
    nearly = os.statvfs_result((*real[:3], free // real.f_frsize, free // real.f_frsize, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: nearly)
    assert_exact(place, commit)
    until(lambda: not place.source._checkouts._spares._making, "the spare to be given up")
    assert not place.source._checkouts._spares._ready


def test_nothing_of_a_process_outlives_it(place: Place) -> None:
    commit = place.push({f"f{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(commit)
    workshop = spare_of(place, commit).parents[1]
    assert list(workshop.iterdir())
    place.restarted()
    assert workshop.is_dir(), "its process lives"
    place.source.close()
    assert not workshop.exists()


def test_what_a_killed_process_left_is_removed_by_the_next(place: Place) -> None:
    place.push({"a": "1"})
    place.fetch()
    left = place.data / "mirrors" / ".work" / "0123456789abcdef"
    (left / "spare-x" / "files").mkdir(parents=True)
    (left / "key-x").write_text("secret")
    left.with_suffix(".lock").touch()
    place.restarted()
    assert not left.exists()
    assert not left.with_suffix(".lock").exists()


def test_what_is_written_while_a_process_ends_is_removed_by_the_next(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = place.push({f"f{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(commit)
    workshop = spare_of(place, commit).parents[1]
    rmtree = shutil.rmtree

    def beside_a_git(folder: Path, ignore_errors: bool) -> None:
        rmtree(folder, ignore_errors)
        if folder == workshop:
            (workshop / "spare-x" / "files").mkdir(parents=True)

    with monkeypatch.context() as writing:
        writing.setattr(shutil, "rmtree", beside_a_git)
        place.source.close()
    assert workshop.exists()
    place.restarted()
    assert not workshop.exists()
    assert not workshop.with_suffix(".lock").exists()


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_spare_belongs_to_whom_it_is_for_and_so_does_what_was_changed_in_it(place: Place) -> None:
    first = place.push({f"d/{n}": str(n) for n in range(9)})
    place.fetch()
    out = place.source.checkout("fraud", first, next(place.out), owner=64998).path
    assert out.stat().st_uid == os.geteuid(), "written just now, so it is the launcher's to hand over"
    spare_of(place, first)
    (place.work.path / "link").symlink_to("d/7")
    second = place.push({"d/7": "changed", "new/er/file": "1"})
    place.fetch()
    out = place.source.checkout("fraud", second, next(place.out), owner=64998).path
    assert (out / "link").read_text() == "changed"
    assert owners(out) == {64998}
    assert owners(place.checkout(second)) == {os.geteuid()}, "nobody gets what is another's"


def test_a_push_that_is_checked_out_twice_finds_a_spare_for_each(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place.push({f"d/{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(first)
    inodes = {spare.stat().st_ino for spare in spares_of(place, first)}
    monkeypatch.setattr("service.source.spare._REST_S", 600.0)  # they are not replaced in between
    second = place.push({"d/7": "changed"})
    place.fetch()
    assert {assert_exact(place, second).stat().st_ino for _ in range(2)} == inodes


@pytest.mark.parametrize(("limit", "value"), [("_MOVED_BYTES", 10), ("_MOVED_FILES", 1)])
def test_a_change_that_is_large_is_left_to_git(
    place: Place, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"service.source.files.{limit}", value)
    first = place.push({f"d/{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(first)
    spare = spare_of(place, first).stat().st_ino
    second = place.push({"d/6": "small", "d/7": "larger than it may be"})
    place.fetch()
    assert assert_exact(place, second).stat().st_ino != spare


def test_caps_hold_for_what_is_only_compared(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second commit is looked through by what differs from the first; the sums have to be those of the whole."""
    first = place.push({f"d/{n}": "12345" for n in range(9)})
    second = place.push({"d/0": "1234567", "d/1": None, "d/2": "1", "new": "12345"})
    place.fetch()
    place.checkout(first)
    place.checkout(second)
    _, compared = place.source._manifests._last["fraud"]
    place.source._manifests._last.clear()
    place.checkout(second)
    assert place.source._manifests._last["fraud"] == (second, compared)
    monkeypatch.setattr("service.limits.CHECKOUT_FILES", 9)
    place.push({"one/more": "1"})
    third = place.fetch().commit("refs/heads/main")
    with pytest.raises(CheckoutFailed, match="more than 9 files"):
        place.checkout(third)


def test_when_the_service_stops_a_spare_that_is_made_is_given_up_without_a_word(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.source.spare._REST_S", 0.3)  # it is made when the checkout is done
    commit = place.push({f"f{n}": str(n) for n in range(9)})
    place.fetch()
    place.checkout(commit)
    place.source.interrupt()
    spares = place.source._checkouts._spares
    until(lambda: not spares._making, "the thread to end")
    assert not spares._ready.get("fraud")
    assert not list(place.source._workshop.folder.glob("spare-*"))
