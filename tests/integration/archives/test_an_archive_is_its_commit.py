from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

import pytest

from service.errors import CheckoutFailed, RefMissing
from service.settings import Settings
from service.source import Source, tarball
from service.workflow_runner.pod.files import unpack
from tests.integration.source.conftest import Place
from tests.integration.source.hostile import FORBIDDEN_NAMES, push_links, slip_in
from tests.links import LINKS_OUT, LINKS_WITHIN, Links

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


@pytest.mark.parametrize("links", LINKS_OUT)
def test_a_link_that_leads_out_is_refused_as_in_a_checkout(place: Place, links: Links) -> None:
    commit = push_links(place, links)
    with pytest.raises(CheckoutFailed, match="leads out of the repository") as caught:
        place.source.archive("fraud", commit)
    assert not caught.value.retry
    assert list((place.data / "archives").iterdir()) == []


def test_links_that_stay_or_lead_nowhere_are_well(place: Place) -> None:
    opened = place.source.archive("fraud", push_links(place, LINKS_WITHIN))
    with opened.file as file, tarfile.open(fileobj=file) as archive:
        assert {one.name: one.linkname for one in archive.getmembers() if one.issym()} == LINKS_WITHIN


@pytest.mark.parametrize("name", FORBIDDEN_NAMES)
def test_names_that_no_honest_commit_has_are_refused(place: Place, name: bytes) -> None:
    commit = slip_in(place, name)
    with pytest.raises(CheckoutFailed, match="forbidden name"):
        place.source.archive("fraud", commit)
