from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from service.workflow_runner.pod import files
from service.workflow_runner.pod.files import BadArchiveError, unpack
from tests.links import LINKS_OUT, LINKS_WITHIN, Links


def entry(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target)


def pack(folder: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> str:
    path = folder / "archive.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for member, content in entries:
            archive.addfile(member, io.BytesIO(content))
    return str(path)


def test_files_folders_and_links_come_out_as_they_are(tmp_path: Path) -> None:
    archive = pack(
        tmp_path,
        entry("a", b"text", mode=0o644, mtime=1_000_000_000),
        entry("bin/run", b"#!", mode=0o755),
        entry("submodule", type=tarfile.DIRTYPE, mode=0o755),
        link("bin/to-a", "../a"),
        link("dangling", "nowhere"),
        entry("é" * 120, b"long"),
    )
    unpack(archive, str(tmp_path / "out"))
    out = tmp_path / "out"
    assert (out / "a").read_bytes() == b"text" == (out / "bin/to-a").read_bytes()
    assert (out / "a").stat().st_mtime == 1_000_000_000
    assert not (out / "a").stat().st_mode & stat.S_IXUSR
    assert (out / "bin/run").stat().st_mode & stat.S_IXUSR
    assert (out / "submodule").is_dir()
    assert (out / "dangling").is_symlink()
    assert (out / ("é" * 120)).read_bytes() == b"long"


@pytest.mark.parametrize(
    "entries",
    [
        [entry("/absolute", b"x")],
        [entry("../out", b"x")],
        [entry("a/../../out", b"x")],
        [entry("./a", b"x")],
        [entry("a//b", b"x")],
        [link("a", "b", tarfile.LNKTYPE)],
        [entry("device", type=tarfile.CHRTYPE)],
        [entry("device", type=tarfile.BLKTYPE)],
        [entry("pipe", type=tarfile.FIFOTYPE)],
        [entry("/".join("d" * 102), b"x")],
    ],
    ids=lambda entries: entries[-1][0].name[:20],
)
def test_what_no_commit_holds_is_refused_and_nothing_is_there(tmp_path: Path, entries: list[Any]) -> None:
    (tmp_path / "b").write_text("outside")
    with pytest.raises(BadArchiveError):
        unpack(pack(tmp_path, *entries), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "b").read_text() == "outside"


@pytest.mark.parametrize("links", LINKS_OUT)
def test_a_link_that_leads_out_is_refused_as_in_a_checkout(tmp_path: Path, links: Links) -> None:
    archive = pack(tmp_path, entry("sub/dir/file", b"x"), *(link(*one) for one in links.items()))
    with pytest.raises(BadArchiveError, match="leads out of it"):
        unpack(archive, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_links_that_stay_or_lead_nowhere_are_well(tmp_path: Path) -> None:
    unpack(pack(tmp_path, *(link(*one) for one in LINKS_WITHIN.items())), str(tmp_path / "out"))
    assert {path: os.readlink(tmp_path / "out" / path) for path in LINKS_WITHIN} == LINKS_WITHIN  # noqa: PTH115 - as it is


@pytest.mark.parametrize(
    "entries",
    [
        [link("a", "../elsewhere"), entry("a/b", b"x")],
        [link("a", "other"), entry("a/b", b"x")],
        [entry("a", b"x"), entry("a", b"y")],
        [entry("a", b"x"), entry("a/b", b"y")],
    ],
    ids=["through a link out", "through a link", "twice", "a file as a folder"],
)
def test_nothing_is_written_through_anything(tmp_path: Path, entries: list[Any]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises((BadArchiveError, OSError)):
        unpack(pack(tmp_path, *entries), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert list(elsewhere.iterdir()) == []


def test_a_bomb_ends_at_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BYTES", 1000)
    monkeypatch.setattr(files, "FILES", 3)
    with pytest.raises(BadArchiveError, match="more than"):
        unpack(pack(tmp_path, entry("a", b"x" * 600), entry("b", b"x" * 600)), str(tmp_path / "out"))
    with pytest.raises(BadArchiveError, match="more than"):
        unpack(pack(tmp_path, *(entry(str(n)) for n in range(4))), str(tmp_path / "out"))


@pytest.mark.parametrize("cut", [200, 600, 1000])
def test_half_an_archive_is_none(tmp_path: Path, cut: int) -> None:
    whole = Path(pack(tmp_path, entry("a", os.urandom(1000)))).read_bytes()
    half = tmp_path / "half.tar.gz"
    half.write_bytes(whole[:-cut])
    with pytest.raises(BadArchiveError):
        unpack(str(half), str(tmp_path / "out"))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"text", gzip.compress(b"text")):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(BadArchiveError):
            unpack(str(path), str(tmp_path / "out"))


def test_what_an_earlier_start_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    (tmp_path / "out.part").mkdir()
    unpack(pack(tmp_path, entry("new", b"x")), str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == ["new"]
