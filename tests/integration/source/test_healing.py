"""A mirror is worth nothing that cannot be fetched again: killed, torn or deleted, the next call works."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.errors import CheckoutFailed, RefMissing, RepositoryUnreachable, Stopping
from tests.integration.source.conftest import Place
from tests.peers.git_http import GitServer, Mode, Request, run_git
from tests.waiting import until

CHILD = """
import json, sys
from pathlib import Path
from service.settings import Repository, Settings
from service.source import Source
job = json.loads(sys.argv[1])
repository = Repository(name="fraud", url=job["url"], webhook_secrets="insecure")
source = Source(Settings(data_dir=Path(job["data"]), repositories=(repository,)))
print("ready", flush=True)
if job["verb"] == "fetch":
    source.fetch(repository)
elif job["verb"] == "work":
    n = 0
    while True:
        commit = source.fetch(repository).commit("refs/heads/main")
        source.checkout("fraud", commit, Path(job["into"]) / str(n := n + 1))
else:
    source.checkout("fraud", job["commit"], Path(job["into"]))
print("done", flush=True)
"""


def gits_on(folder: Path) -> list[int]:
    """Processes that have the mirror in their environment or arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in words and b"git" in words and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


@pytest.fixture
def service(place: Place) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that uses a Source of its own on the same data_dir."""
    started: list[subprocess.Popen[str]] = []

    def start(verb: str, **more: str) -> subprocess.Popen[str]:
        job = {"verb": verb, "url": place.setting.url, "data": str(place.data), **more}
        process = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(job)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mirrored", [False, True], ids=["first clone", "later fetch"])
def test_a_service_killed_in_the_middle_of_a_fetch_leaves_no_git_and_a_mirror_that_works(
    place: Place, service: Callable[..., subprocess.Popen[str]], mirrored: bool
) -> None:
    commit = place.push({"a": "1"})
    if mirrored:
        place.fetch()
    commit = place.push({f"f{n}": os.urandom(2000) for n in range(200)})
    place.repository.behave(Mode.STALL)
    process = service("fetch")
    # Half a pack is there: git and index-pack wait for the rest.
    until(lambda: list((place.data / "mirrors").rglob("objects/**/tmp_*")), "half a pack")
    assert gits_on(place.data)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not gits_on(place.data), "its gits to be gone", 5)
    place.repository.behave(Mode.WELL)
    assert place.fetch().commit("refs/heads/main") == commit
    assert not list(place.mirror.rglob("tmp_*"))
    assert (place.checkout(commit) / "f199").exists()


def test_a_service_killed_in_the_middle_of_a_checkout_can_be_repeated(
    place: Place, service: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    commit = place.push({f"d{n % 40}/f{n}": str(n) for n in range(3000)})
    place.fetch()
    into = tmp_path / "jobs" / "one"
    process = service("checkout", commit=commit, into=str(into))
    part = into.parent / ".one.part"
    until(lambda: part.exists() or into.exists() or process.poll() is not None, "the checkout to begin")
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not gits_on(place.data), "its gits to be gone", 5)
    if not into.exists():  # killed in time; else it was done, and whole
        place.source.checkout("fraud", commit, into)
    assert sum(p.is_file() for p in into.rglob("*")) == 3000
    assert [p.name for p in into.parent.iterdir()] == ["one"]


LEFT_BEHIND = (
    "packed-refs.lock",
    "packed-refs.new",
    "HEAD.lock",
    "config.lock",
    "refs/heads/main.lock",
    "objects/pack/tmp_pack_x",
)


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_a_stale_lock_file_stops_nobody(place: Place, name: str) -> None:
    place.push({"a": "1"})
    place.work.push("HEAD:refs/heads/old")
    place.fetch()
    run_git(place.mirror, "pack-refs", "--all")
    commit = place.push({"a": "2"})
    place.work.push(":refs/heads/old")
    (place.mirror / name).parent.mkdir(parents=True, exist_ok=True)
    (place.mirror / name).touch()
    assert place.fetch().refs == {"refs/heads/main": commit}


def test_a_service_that_stops_waits_for_no_other_that_has_the_mirror(place: Place) -> None:
    place.push({"a": "1"})
    place.fetch()
    with (place.mirror.parent / ".locks" / "fraud").open("rb+") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = pool.submit(place.fetch)
        place.source.interrupt()
        with pytest.raises(Stopping):
            waiting.result(30)


def test_after_a_fetch_that_went_wrong_the_next_one_clears_up(place: Place) -> None:
    place.push({"a": "1"})
    place.fetch()
    place.repository.behave(Mode.BROKEN)
    with pytest.raises(RepositoryUnreachable):
        place.fetch()
    for name in LEFT_BEHIND:
        (place.mirror / name).touch()
    place.repository.behave(Mode.WELL)
    place.fetch()
    assert not list(place.mirror.rglob("*.lock"))
    assert not list(place.mirror.rglob("tmp_*"))


def test_readers_that_find_the_same_damage_clone_once(place: Place, forge: GitServer) -> None:
    commit = place.push({"a": "1"})
    place.fetch()
    no_mirror(place)
    forge.requests.clear()
    with ThreadPoolExecutor(4) as threads:
        read = [threads.submit(place.source.read_file, "fraud", commit, "a") for _ in range(4)]
        assert [r.result() for r in read] == [b"1"] * 4
    assert forge.asked(method="GET") == 1


def torn_pack(place: Place) -> None:
    run_git(place.mirror, "repack", "-adq")
    for pack in place.mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        os.truncate(pack, pack.stat().st_size // 2)


def flipped_pack(place: Place) -> None:
    """A bit in the middle: what only reading the object itself finds."""
    run_git(place.mirror, "repack", "-adq")
    for pack in place.mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        content = bytearray(pack.read_bytes())
        for at in range(12, len(content) - 20):
            content[at] ^= 0xFF
        pack.write_bytes(content)


def lost_pack(place: Place) -> None:
    run_git(place.mirror, "repack", "-adq")
    for pack in place.mirror.glob("objects/pack/*"):
        pack.unlink()


def loosen(mirror: Path) -> None:
    """One file an object."""
    for pack in mirror.glob("objects/pack/*.pack"):
        content = pack.read_bytes()
        for file in mirror.glob(f"objects/pack/{pack.stem}.*"):
            file.unlink()
        run_git(mirror, "unpack-objects", "-q", stdin=content)


def empty_objects(place: Place) -> None:
    """What a power cut leaves of files that were not yet on disk."""
    loosen(place.mirror)
    for file in place.mirror.glob("objects/??/*"):
        file.chmod(0o600)
        file.write_bytes(b"")


def empty_ref(place: Place) -> None:
    (place.mirror / "refs/heads/main").write_bytes(b"")


def no_config(place: Place) -> None:
    (place.mirror / "config").write_bytes(b"[core\n\x00")


def no_head(place: Place) -> None:
    (place.mirror / "HEAD").write_bytes(b"")


def no_mirror(place: Place) -> None:
    place.mirror.rename(place.mirror.with_suffix(".taken-away"))


DAMAGES = [torn_pack, flipped_pack, lost_pack, empty_objects, empty_ref, no_config, no_head, no_mirror]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("moved", [False, True], ids=["nothing new", "something new"])
def test_a_damaged_mirror_is_mended_by_the_next_fetch(
    place: Place, damage: Callable[[Place], None], moved: bool
) -> None:
    commit = place.push({"a": "1", "d/b": "2"})
    place.fetch()
    damage(place)
    if moved:
        commit = place.push({"a": "3"})
    assert place.fetch().commit("refs/heads/main") == commit
    assert (place.checkout(commit) / "d" / "b").read_text() == "2"
    assert run_git(place.mirror, "fsck", "--strict", "--no-dangling") == ""
    assert [p.name for p in (place.data / "mirrors" / ".stage").iterdir()] == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mirror_is_mended_by_the_next_checkout(place: Place, damage: Callable[[Place], None]) -> None:
    commit = place.push({"a": "1", "d/b": "2"})
    place.fetch()
    damage(place)
    out = place.checkout(commit)
    assert (out / "a").read_text() == "1"
    assert (out / "d" / "b").read_text() == "2"


def one_blob_torn(place: Place, commit: str) -> None:
    loosen(place.mirror)
    sha = run_git(place.mirror, "rev-parse", f"{commit}:d/b")
    (place.mirror / "objects" / sha[:2] / sha[2:]).chmod(0o600)
    (place.mirror / "objects" / sha[:2] / sha[2:]).write_bytes(b"")


def one_blob_lost(place: Place, commit: str) -> None:
    loosen(place.mirror)
    sha = run_git(place.mirror, "rev-parse", f"{commit}:d/b")
    (place.mirror / "objects" / sha[:2] / sha[2:]).unlink()


@pytest.mark.parametrize("damage", [one_blob_torn, one_blob_lost])
@pytest.mark.parametrize(
    "read",
    [
        lambda place, commit: (place.checkout(commit) / "d" / "b").read_bytes(),
        lambda place, commit: place.source.read_file("fraud", commit, "d/b"),
    ],
    ids=["checkout", "read_file"],
)
def test_a_single_broken_object_deep_in_a_commit_is_noticed_and_mended(
    place: Place, damage: Callable[[Place, str], None], read: Callable[[Place, str], bytes]
) -> None:
    commit = place.push({"a": "1", "d/b": "2"})
    place.fetch()
    damage(place, commit)
    assert read(place, commit) == b"2"


def test_a_damaged_mirror_of_a_server_that_is_away_is_told_and_kept(place: Place) -> None:
    commit = place.push({"a": "1"})
    place.fetch()
    empty_objects(place)
    place.repository.behave(Mode.BROKEN)
    with pytest.raises(RepositoryUnreachable, match="a server in trouble"):
        place.checkout(commit)
    with pytest.raises(RepositoryUnreachable, match="a server in trouble"):
        place.fetch()
    assert place.mirror.is_dir()
    place.repository.behave(Mode.WELL)
    assert place.checkout(commit)


def test_a_broken_server_is_no_reason_to_clone_over_and_over(place: Place, forge: GitServer) -> None:
    place.push({"a": "1"})
    place.fetch()
    inode = place.mirror.stat().st_ino
    for mode in (Mode.BROKEN, Mode.GONE, Mode.PAGE, Mode.DROP):
        place.repository.behave(mode)
        forge.requests.clear()
        with pytest.raises(RepositoryUnreachable):
            place.fetch()
        assert len(forge.requests) <= 4
    assert place.mirror.stat().st_ino == inode


def test_a_commit_lost_with_the_old_mirror_is_missing_not_wrong(place: Place) -> None:
    first = place.push({"a": "1"})
    lost = place.push({"a": "2"})
    place.fetch()
    place.work.git("reset", "--quiet", "--hard", first)
    place.work.commit({"a": "3"})
    place.work.push(force=True)
    place.fetch()
    assert place.source.read_file("fraud", lost, "a") == b"2"
    no_mirror(place)
    with pytest.raises(RefMissing, match="rewritten away"):
        place.checkout(lost)


def test_a_full_disk_is_told_as_such(place: Place, tmp_path: Path) -> None:
    commit = place.push({"big": os.urandom(3_000_000)})
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        place.data = small / "data"
        with pytest.raises(RepositoryUnreachable, match="the disk is full"):
            place.restarted().fetch(place.setting)
        place.fetch()
        with pytest.raises(CheckoutFailed, match="the disk is full"):
            place.source.checkout("fraud", commit, small / "job")
        assert not (small / "job").exists()
        assert not (small / ".job.part").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_reading_goes_on_while_somebody_fetches(place: Place, forge: GitServer) -> None:
    commit = place.push({"a": "1"})
    place.fetch()
    seen: list[bytes | None] = []

    def read(request: Request) -> None:
        if request.service == "git-upload-pack":
            seen.append(place.source.read_file("fraud", commit, "a"))

    forge.before = read
    place.fetch()
    assert seen
    assert set(seen) == {b"1"}


@pytest.mark.faults
def test_killed_at_random_it_always_goes_on(
    place: Place, service: Callable[..., subprocess.Popen[str]], tmp_path: Path, faults: int
) -> None:
    commit = place.push({f"d{n % 9}/f{n}": os.urandom(300) for n in range(600)})
    for kill in range(3 * faults):
        into = tmp_path / "jobs" / str(kill)
        process = service("work", into=str(into))
        begun, moment = time.monotonic(), random.Random(kill).uniform(0.0, 1.2)
        while time.monotonic() - begun < moment:
            commit = place.push({f"d{kill % 9}/new{time.monotonic_ns()}": os.urandom(5000)})
        process.send_signal(signal.SIGKILL)
        process.wait()
        source = place.restarted(timeout_s=30, clone_timeout_s=30)
        assert source.fetch(place.setting).commit("refs/heads/main") == commit
        out = source.checkout("fraud", commit, tmp_path / "after" / str(kill)).path
        assert sum(p.is_file() for p in out.rglob("*")) == len(place.work.git("ls-files").splitlines())
        assert run_git(place.mirror, "fsck", "--no-dangling") == ""
        # What got its final name is whole.
        for done in into.glob("[0-9]*"):
            assert sum(p.is_file() for p in done.rglob("*")) >= 600
        source.close()
    assert len(list((place.data / "mirrors" / ".work").iterdir())) <= 2, "the test's own Source is alive, nobody else"
