from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

import pytest

from service.errors import CheckoutFailed, RefMissing
from service.settings import Settings
from service.source import Source, tarball
from service.source.tarball import _leads_out
from service.workflow_runner.pod.files import unpack
from tests.integration.source.conftest import Place
from tests.integration.source.test_hostile_repositories import blob, commit_of, raw_tree

FILES: dict[str, str | bytes | None] = {
    "project.yaml": "kind: project\n",
    "src/deep/er/code.py": "x = 1\n",
    "é/ü.txt": "umlauts",
    "long/" + "n" * 150 + ".txt": "a name that no plain tar holds",
    "binary": bytes(range(256)) * 300,
    "crlf.txt": b"a\r\nb\r\n",
    "empty": b"",
    ".gitattributes": "*.txt text eol=crlf\nsecret export-ignore\nsubst export-subst ident\n",
    "secret": "is in a checkout too",
    "subst": "$Format:%H$ $Id$\n",
}


def push(place: Place) -> str:
    place.work.commit(FILES)
    (place.work.path / "run.sh").write_text("#!/bin/sh\n")
    (place.work.path / "run.sh").chmod(0o755)
    (place.work.path / "to-code").symlink_to("src/deep/er/code.py")
    (place.work.path / "dangling").symlink_to("nowhere")
    place.work.git("add", "-A")
    commit = place.push({"last": "one"})
    place.fetch()
    return commit


def content(source: Source, commit: str) -> bytes:
    opened = source.archive("fraud", commit)
    with opened.file as file:
        return file.read()


def files(folder: Path) -> dict[str, tuple[str, bytes | str]]:
    """Everything in it but folders: what it is, and what is in it."""
    found: dict[str, tuple[str, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_file():
            found[name] = ("program" if path.stat().st_mode & 0o100 else "file", path.read_bytes())
        elif not any(path.iterdir()):
            found[name] = ("folder", b"")
    return found


@pytest.mark.parametrize("pieces", [16 * 1024 * 1024, 1000], ids=["in one piece", "large files from the disk"])
def test_what_comes_out_is_what_a_checkout_has(place: Place, monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    monkeypatch.setattr(tarball, "_PIECE_BYTES", pieces)
    commit = push(place)
    path = place.data / "archive"
    path.write_bytes(content(place.source, commit))
    unpack(str(path), str(place.data / "unpacked"))
    assert files(place.data / "unpacked") == files(place.checkout(commit))


def test_the_bytes_are_equal_on_every_machine(place: Place, tmp_path: Path) -> None:
    commit = push(place)
    first = content(place.source, commit)
    for path in (place.data / "archives").iterdir():
        path.unlink()
    elsewhere = Source(Settings(data_dir=tmp_path / "elsewhere", repositories=(place.setting,)))
    assert content(place.restarted(), commit) == content(elsewhere, commit) == first
    # Nothing of who made it, where and when.
    assert gzip.decompress(first)
    assert first[4:8] == b"\0\0\0\0"
    with tarfile.open(next((place.data / "archives").iterdir())) as archive:
        members = archive.getmembers()
    assert {(m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, "", "")}
    assert {m.mode for m in members} == {0o644, 0o755}
    assert len({m.mtime for m in members}) == 1
    names = [os.fsencode(m.name) for m in members]
    assert names == sorted(names)


def test_a_file_that_was_deleted_is_made_again_and_no_half_one_stays(place: Place) -> None:
    commit = push(place)
    first = content(place.source, commit)
    (made,) = (place.data / "archives").iterdir()
    made.unlink()
    assert content(place.source, commit) == first
    assert list((place.data / "archives").iterdir()) == [made]


def test_a_commit_that_another_replica_heard_of_is_fetched(place: Place) -> None:
    place.push({"a": "1"})
    place.fetch()
    commit = place.push({"a": "2"})
    assert content(place.source, commit)
    with pytest.raises(RefMissing):
        place.source.archive("fraud", "f" * 40)
    with pytest.raises(RefMissing):
        place.source.archive("fraud", "../../store.db")


@pytest.mark.parametrize(
    "links",
    [
        {"etc": "/etc"},
        {"up": ".."},
        {"deep/up": "../../x"},
        {"a/b/hop": "../..", "a/b/out": "hop/.."},
        {"d": "sub/dir", "x": "d/../../.."},
        {"one": "two", "two": "three", "three": "../three"},
    ],
)
def test_a_link_that_leads_out_is_refused_as_in_a_checkout(place: Place, links: dict[str, str]) -> None:
    place.work.commit({"sub/dir/file": "1"})
    for name, target in links.items():
        (place.work.path / name).parent.mkdir(parents=True, exist_ok=True)
        (place.work.path / name).symlink_to(target)
    commit = place.push({})
    place.fetch()
    with pytest.raises(CheckoutFailed, match="leads out of the repository") as caught:
        place.source.archive("fraud", commit)
    assert not caught.value.retry
    assert list((place.data / "archives").iterdir()) == []


def test_links_that_stay_or_lead_nowhere_are_well(place: Place) -> None:
    links = {
        "a/b": "../c",
        "c": "d",
        "loop": "loop",
        "p": "q",
        "q": "p",
        "e": "missing/../x",
        "here": ".",
        "s": "a//b/",
    }
    assert not any(_leads_out(links, path) for path in links)


@pytest.mark.parametrize("name", [b".git", b".GIT", b"git~1", b"..", b".git::$INDEX_ALLOCATION"])
def test_names_that_no_honest_commit_has_are_refused(place: Place, name: bytes) -> None:
    place.push({"a": "1"})
    place.fetch()
    mirror = place.mirror
    inner = raw_tree(mirror, [("100644", b"config", blob(mirror, b"x"))])
    commit = commit_of(mirror, raw_tree(mirror, [("40000", name, inner)]))
    with pytest.raises(CheckoutFailed, match="forbidden name"):
        place.source.archive("fraud", commit)
