"""A checkout is exactly the commit's files: not a byte, bit or name more or less, and nothing that a `.git` would tell."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from service.errors import CheckoutFailed, ProjectError
from tests.integration.source.conftest import Place
from tests.peers.git_http import run_git


@pytest.fixture(autouse=True, params=["by us", "by git"])
def _written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small commits are written by us; here git has to write them, too."""
    if request.param == "by git":
        monkeypatch.setattr("service.limits.SMALL_FILES", 0)


def listed(place: Place, commit: str) -> dict[str, tuple[str, str]]:
    """path → (mode, blob) as the commit has it."""
    lines = run_git(place.repository.path, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
    entries = [line.partition("\t") for line in lines if line]
    return {path: (meta.split()[0], meta.split()[2]) for meta, _, path in entries}


def found(folder: Path, repository: Path) -> dict[str, tuple[str, str]]:
    """path → (mode, blob) as the files on disk hash, without any filter."""
    files: dict[str, tuple[str, str]] = {}
    for root, folders, names in os.walk(folder):
        for name in [*names, *(f for f in folders if (Path(root) / f).is_symlink())]:
            file = Path(root) / name
            content = os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
            mode = "120000" if file.is_symlink() else "100755" if file.stat().st_mode & stat.S_IXUSR else "100644"
            files[str(file.relative_to(folder))] = (mode, run_git(repository, "hash-object", "--stdin", stdin=content))
    return files


def assert_exact(place: Place, commit: str) -> Path:
    out = place.checkout(commit)
    assert found(out, place.repository.path) == listed(place, commit)
    return out


def test_every_kind_of_file_comes_out_as_it_is(place: Place) -> None:
    place.work.commit(
        {
            "crlf.txt": b"a\r\nb\r\n",
            "mixed.txt": b"a\nb\r\n",
            "binary": bytes(range(256)) * 9,
            "empty": b"",
            "no-newline": b"x",
            "utf16.txt": "ü".encode("utf-16"),
            "run.sh": "#!/bin/sh\n",
            "a/b/c/deep.py": "1",
            "line\nbreak": "1",
            "tab\there": "1",
            "back\\slash": "1",
            "ünï/çødé.py": "1",
            "-u": "1",
            "--upload-pack=id": "1",
            " lead and trail ": "1",
            "Case": "upper",
            "case": "lower",
            "x" * 255: "long",
            "/".join(["d" * 100] * 20): "deep and long",
            ".gitignore": "*\n",
            ".gitmodules.txt": "1",
        }
    )
    place.work.git("add", "--force", "--all")
    place.work.git("update-index", "--chmod=+x", "run.sh")
    (place.work.path / "link").symlink_to("a/b")
    (place.work.path / "a" / "up").symlink_to("../run.sh")
    (place.work.path / "dangling").symlink_to("nowhere")
    (place.work.path / "loop").symlink_to("loop")
    place.work.git("add", "--force", "--all")
    place.work.git("commit", "--quiet", "--message=all", "--allow-empty")
    place.work.push()
    place.fetch()
    assert_exact(place, place.repository.tip())


def test_names_that_are_not_utf8_come_out(place: Place) -> None:
    blob = place.repository.git("hash-object", "-w", "--stdin", stdin=b"1")
    tree = place.repository.git("mktree", "-z", stdin=b"100644 blob " + blob.encode() + b"\tcaf\xe9.py\0")
    commit = place.repository.git("commit-tree", "-m", "x", tree)
    place.repository.git("update-ref", "refs/heads/main", commit)
    place.fetch()
    assert os.listdir(os.fsencode(assert_exact(place, commit))) == [b"caf\xe9.py"]


def test_modes_that_git_writes_no_more_are_read_as_git_reads_them(place: Place) -> None:
    """Old histories and other tools have them, and git's checks let them in."""
    first = place.push({"a": "1"})
    git = place.repository.git
    ids = {
        "file": git("rev-parse", f"{first}:a"),
        "folder": git("rev-parse", f"{first}^{{tree}}"),
        "link": git("hash-object", "-w", "--stdin", stdin=b"f"),
    }
    entries = (("40755", "d", "folder"), ("100664", "f", "file"), ("120777", "l", "link"), ("100775", "x", "file"))
    data = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(ids[kind]) for mode, name, kind in entries)
    tree = git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data)
    commit = git("commit-tree", tree, "-p", first, "-m", "Old modes")
    git("update-ref", "refs/heads/main", commit)
    place.fetch()
    out = assert_exact(place, commit)
    assert (out / "x").stat().st_mode & stat.S_IXUSR
    assert place.source.tree("fraud", commit, "d") == ids["folder"]
    assert place.source.changed_paths("fraud", first, commit) == ("a", "d/a", "f", "l", "x")


def test_attributes_of_the_repository_change_nothing(place: Place) -> None:
    """Line ends, keywords, filters, encodings and what an archive leaves out are the repository's wishes, not its files."""
    attributes = (
        "* text=auto eol=crlf ident filter=evil working-tree-encoding=UTF-16\n"
        "*.sub export-subst\nsecret export-ignore\n*.crlf text eol=crlf\n[attr]binary -diff filter=evil\n*.bin binary\n"
    )
    place.push(
        {
            "a.txt": "one\ntwo\n$Id$\n",
            "x.sub": "$Format:%H$",
            "secret": "kept",
            "y.crlf": b"1\n2\n",
            "z.bin": b"\0\r\n",
            "sub/b.txt": "$Id$\n",
        }
    )
    # Committed by plumbing: porcelain would obey them.
    blob = place.work.git("hash-object", "-w", "--no-filters", "--stdin", stdin=attributes.encode())
    for path in (".gitattributes", "sub/.gitattributes"):
        place.work.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    place.work.git("commit", "--quiet", "--message=attributes")
    place.work.push()
    place.fetch()
    out = assert_exact(place, place.repository.tip())
    assert (out / "a.txt").read_bytes() == b"one\ntwo\n$Id$\n"
    assert (out / "x.sub").read_text() == "$Format:%H$"


def test_there_is_no_git_folder_and_the_mirror_is_as_before(place: Place) -> None:
    commit = place.push({"a": "1"})
    place.fetch()
    before = {p: p.stat().st_mtime_ns for p in place.mirror.rglob("*")}
    out = place.checkout(commit)
    assert [p.name for p in out.iterdir()] == ["a"]
    assert {p: p.stat().st_mtime_ns for p in place.mirror.rglob("*")} == before
    assert sorted(p.name for p in out.parent.iterdir()) == [out.name]


def test_what_the_user_does_to_a_checkout_harms_no_other(place: Place) -> None:
    commit = place.push({"a": "1", "d/b": "2"})
    place.fetch()
    first = place.checkout(commit)
    (first / "a").write_text("changed in place")
    (first / "d" / "b").unlink()
    assert_exact(place, commit)


def test_an_older_commit_can_be_checked_out_after_newer_ones(place: Place) -> None:
    first = place.push({"a": "1", "gone": "x"})
    place.push({"a": "2", "gone": None})
    place.fetch()
    assert (assert_exact(place, first) / "gone").read_text() == "x"


def test_the_tree_is_the_projects_and_is_equal_for_equal_files(place: Place) -> None:
    first = place.push({"ml/fraud/project.yaml": "1", "other": "1"})
    second = place.push({"other": "2"})
    place.fetch()
    source = place.source
    assert source.tree("fraud", first, "ml/fraud") == source.tree("fraud", second, "./ml//fraud/")
    assert source.tree("fraud", first) != source.tree("fraud", second)
    out = source.checkout("fraud", second, next(place.out), "ml/fraud")
    assert out.tree == source.tree("fraud", second, "ml/fraud")
    assert (out.path / "other").read_text() == "2", "projects import from beside them"


@pytest.mark.parametrize("path", ["nowhere", "a/file", "../up", "/etc", "x/../../y", "a\nb"])
def test_a_project_folder_that_is_none_is_the_projects_error(place: Place, path: str) -> None:
    commit = place.push({"a/file": "1"})
    place.fetch()
    with pytest.raises(ProjectError):
        place.checkout(commit, path)


def test_a_folder_that_holds_something_is_not_written_to(place: Place, tmp_path: Path) -> None:
    commit = place.push({"a": "1"})
    place.fetch()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    with pytest.raises(CheckoutFailed, match="not empty"):
        place.source.checkout("fraud", commit, taken)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckoutFailed, match="not empty"):
        place.source.checkout("fraud", commit, tmp_path / "link")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (place.source.checkout("fraud", commit, empty).path / "a").read_text() == "1"


def test_what_a_killed_checkout_left_is_in_nobodys_way(place: Place, tmp_path: Path) -> None:
    commit = place.push({"a": "1"})
    place.fetch()
    (tmp_path / ".job.part" / "old").mkdir(parents=True)
    place.source.checkout("fraud", commit, tmp_path / "job")
    assert [p.name for p in (tmp_path / "job").iterdir()] == ["a"]
    assert not (tmp_path / ".job.part").exists()


def test_reading_single_files(place: Place) -> None:
    place.work.commit({".gitops.yaml": "version: 1\n", "d/f": b"\0\r\n", "empty": ""})
    (place.work.path / "link.yaml").symlink_to(".gitops.yaml")
    (place.work.path / "out.yaml").symlink_to("/etc/passwd")
    (place.work.path / "up.yaml").symlink_to("../../etc/passwd")
    commit = place.work.commit({})
    place.work.push()
    place.fetch()

    def read(path: str) -> bytes | None:
        return place.source.read_file("fraud", commit, path)

    assert read(".gitops.yaml") == b"version: 1\n"
    assert read("./d//f") == b"\0\r\n"
    assert read("empty") == b""
    assert read("link.yaml") == b"version: 1\n"
    assert [read(p) for p in ("nothing", "d", "d/f/x", "out.yaml", "up.yaml", ".")] == [None] * 6
    with pytest.raises(ProjectError):
        read("../d/f")


def test_a_file_too_large_for_configuration_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.limits.REPOSITORY_FILE_BYTES", 2000)
    commit = place.push({"fits": "x" * 2000, "over": "x" * 2001, "far-over": "x" * 3_000_000})
    place.fetch()
    assert len(place.source.read_file("fraud", commit, "fits") or b"") == 2000
    for path in ("over", "far-over"):
        with pytest.raises(ProjectError, match=f"{path} is larger than"):
            place.source.read_file("fraud", commit, path)


def test_listing_a_folder(place: Place) -> None:
    place.work.commit({"project.yaml": "1", "sub/project_setup.py": "1"})
    (place.work.path / "link").symlink_to("sub")
    place.work.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor")
    place.work.git("add", "link")
    place.work.git("commit", "--quiet", "--message=more")
    place.work.push()
    place.fetch()
    commit = place.repository.tip()
    entries = place.source.list_dir("fraud", commit)
    assert entries is not None
    assert {e.name: e.kind for e in entries} == {
        "project.yaml": "file",
        "sub": "folder",
        "link": "symlink",
        "vendor": "submodule",
    }
    assert [e.name for e in place.source.list_dir("fraud", commit, "sub") or ()] == ["project_setup.py"]
    assert place.source.list_dir("fraud", commit, "nowhere") is None
    assert place.source.list_dir("fraud", commit, "project.yaml") is None
