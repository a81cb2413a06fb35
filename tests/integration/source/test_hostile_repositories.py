"""What somebody may push to hurt the service: refused with a reason, and never carried out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.errors import CheckoutFailed, RepositoryUnreachable
from tests.integration.source.conftest import Place
from tests.integration.source.hostile import (
    FORBIDDEN_NAMES,
    blob,
    commit_of,
    push_links,
    raw_tree,
    slip_in,
)
from tests.links import LINKS_OUT, LINKS_WITHIN, Links


@pytest.fixture(autouse=True, params=["by us", "by git"])
def _written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small commits are written by us; here git has to write them, too."""
    if request.param == "by git":
        monkeypatch.setattr("service.limits.SMALL_FILES", 0)


@pytest.mark.parametrize("name", FORBIDDEN_NAMES)
def test_a_name_like_git_s_own_folder_does_not_get_in(place: Place, name: bytes) -> None:
    repository = place.repository.path
    inner = raw_tree(repository, [("100755", b"post-checkout", blob(repository, b"#!/bin/sh\ntouch owned\n"))])
    commit_of(repository, raw_tree(repository, [("40000", name, inner)]))
    with pytest.raises(RepositoryUnreachable, match="git's own checks refuse") as caught:
        place.fetch()
    assert not caught.value.retry
    assert "fsck --strict" in caught.value.mend


@pytest.mark.parametrize("name", FORBIDDEN_NAMES)
def test_a_name_like_git_s_own_folder_does_not_get_out_either(place: Place, name: bytes) -> None:
    commit = slip_in(place, name)
    with pytest.raises(CheckoutFailed, match="forbidden name") as caught:
        place.checkout(commit)
    assert not caught.value.retry


def test_a_tree_with_a_symlink_and_a_folder_of_one_name_writes_nothing_outside(place: Place, tmp_path: Path) -> None:
    """CVE-2021-21300 and its relatives: write through a link that was written just before."""
    place.push({"a": "1"})
    place.fetch()
    outside = tmp_path / "outside"
    outside.mkdir()
    mirror = place.mirror
    link = blob(mirror, os.fsencode(outside))
    inner = raw_tree(mirror, [("100644", b"owned", blob(mirror, b"x"))])
    for first, second in ((b"d", b"d"), (b"D", b"d")):
        commit = commit_of(mirror, raw_tree(mirror, sorted([("120000", first, link), ("40000", second, inner)])))
        with pytest.raises(CheckoutFailed):
            place.checkout(commit)
        assert list(outside.iterdir()) == []


@pytest.mark.parametrize("links", LINKS_OUT)
def test_symlinks_that_leave_the_repository_are_refused(place: Place, links: Links) -> None:
    commit = push_links(place, links)
    with pytest.raises(CheckoutFailed, match="leads out of the repository") as caught:
        place.checkout(commit)
    assert not caught.value.retry
    assert list(Path(place.mirror.parents[2] / "out").iterdir()) == []


def test_symlinks_that_stay_or_lead_nowhere_are_well(place: Place) -> None:
    out = place.checkout(push_links(place, LINKS_WITHIN))
    assert all((out / name).readlink() == Path(target) for name, target in LINKS_WITHIN.items())


def test_a_submodule_is_an_empty_folder_and_nobody_fetches_it(place: Place, tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    place.work.commit(
        {".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = "ext::sh -c touch% {owned}"\n\tupdate = merge\n'}
    )
    place.work.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    place.work.git("commit", "--quiet", "--message=submodule")
    place.work.push()
    place.fetch()
    out = place.checkout(place.repository.tip())
    assert list((out / "x").iterdir()) == []
    assert not owned.exists()


@pytest.mark.parametrize("url", ["-u./payload", "https://x/\\nevil"])
def test_a_submodule_address_that_is_an_option_does_not_get_in(place: Place, url: str) -> None:
    place.push({".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = "{url}"\n'})
    with pytest.raises(RepositoryUnreachable, match="git's own checks refuse"):
        place.fetch()


def test_hooks_filters_and_config_in_the_repository_are_only_files(place: Place, tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    evil = f"#!/bin/sh\ntouch {owned}\n"
    place.work.commit(
        {
            "hooks/post-checkout": evil,
            "config": f'[filter "evil"]\n\tsmudge = touch {owned}\n[core]\n\tfsmonitor = touch {owned}\n',
            "HEAD": "ref: refs/heads/main\n",
            "objects/x": "1",
            "refs/x": "1",
            ".lfsconfig": f"[lfs]\n\tstandalonetransferagent = evil\n[lfs.customtransfer.evil]\n\tpath = touch {owned}\n",
            ".gitattributes": "*.x filter=evil\n*.y filter=lfs\n",
        }
    )
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 3\n"
    sha = blob(place.work.path, pointer.encode())
    place.work.git("update-index", "--add", "--cacheinfo", f"100644,{sha},data.y")
    place.work.git("commit", "--quiet", "--message=lfs")
    place.work.push()
    place.fetch()
    out = place.checkout(place.repository.tip())
    assert (out / "data.y").read_text() == pointer
    assert not owned.exists()


def test_a_tree_bomb_is_counted_before_a_byte_is_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten levels of ten equal folders: eleven objects, ten thousand million files."""
    repository = place.repository.path
    tree = raw_tree(repository, [("100644", b"f%d" % n, blob(repository, b"x")) for n in range(10)])
    for _ in range(9):
        tree = raw_tree(repository, [("40000", b"d%d" % n, tree) for n in range(10)])
    commit = commit_of(repository, tree)
    place.fetch()
    monkeypatch.setattr("service.limits.GIT_OUTPUT_BYTES", 2_000_000)
    with pytest.raises(CheckoutFailed, match="more than") as caught:
        place.checkout(commit)
    assert not caught.value.retry


@pytest.mark.parametrize(
    ("limit", "value", "says"),
    [
        ("CHECKOUT_FILES", 3, "more than 3 files"),
        ("CHECKOUT_BYTES", 10, "larger than"),
        ("CHECKOUT_DEPTH", 2, "folders deep"),
    ],
)
def test_caps_hold(place: Place, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, says: str) -> None:
    commit = place.push({"a": "1234", "b": "1234", "c/d/e/f": "1234", "g": "1234"})
    place.fetch()
    monkeypatch.setattr(f"service.limits.{limit}", value)
    with pytest.raises(CheckoutFailed, match=says) as caught:
        place.checkout(commit)
    assert not caught.value.retry


def test_a_name_longer_than_a_file_system_takes_is_a_failed_checkout(place: Place) -> None:
    repository = place.repository.path
    commit = commit_of(repository, raw_tree(repository, [("100644", b"x" * 300, blob(repository, b"1"))]))
    place.fetch()
    with pytest.raises(CheckoutFailed) as caught:
        place.checkout(commit)
    assert "too long" in f"{caught.value.what} {caught.value.detail}".lower()


def test_a_link_that_holds_a_nul_ends_there_as_it_does_for_git(place: Place) -> None:
    repository = place.repository.path
    file, link = blob(repository, b"1"), blob(repository, b"a\0/etc/passwd")
    commit = commit_of(repository, raw_tree(repository, [("100644", b"a", file), ("120000", b"l", link)]))
    place.fetch()
    assert (place.checkout(commit) / "l").readlink() == Path("a")
