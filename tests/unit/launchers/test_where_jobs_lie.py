from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.errors import LaunchFailed
from service.launchers.process import places
from service.settings import LauncherSettings, Settings


def settings(tmp_path: Path, **launcher: object) -> Settings:
    return Settings(data_dir=tmp_path / "data", launcher=LauncherSettings(**launcher))


@pytest.fixture
def no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "runner_user", lambda _: None)


@pytest.fixture
def own_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "runner_user", lambda _: 64998)


@pytest.mark.usefixtures("no_root")
def test_without_a_user_of_their_own_jobs_lie_in_the_data_directory(tmp_path: Path) -> None:
    runs = places.runs_dir(settings(tmp_path))
    assert runs == tmp_path / "data" / "runs"
    assert runs.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("own_user")
def test_a_place_the_jobs_user_can_not_reach_is_refused_by_name(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    if os.geteuid() == 64998:
        pytest.skip("this test is that user")
    with pytest.raises(LaunchFailed, match=r"user 64998, who cannot reach .*because of .*launcher\.runs_dir"):
        places.runs_dir(settings(tmp_path, runs_dir=closed / "runs"))


@pytest.mark.usefixtures("no_root")
@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(mode)
    with pytest.raises(LaunchFailed, match="not a directory of the service's user alone"):
        places.runs_dir(settings(tmp_path, runs_dir=tmp_path / "runs"))


@pytest.mark.usefixtures("no_root")
def test_the_cache_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(places, "_own", lambda path, *_args, **_more: path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert places.cache_dir(settings(tmp_path)) == tmp_path / "xdg" / "mlrun-gitops"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.cache_dir(settings(tmp_path)) == tmp_path / ".cache" / "mlrun-gitops"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands files over")
def test_a_tree_is_handed_over_without_what_its_links_name(tmp_path: Path) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    outside.mkdir()
    (outside / "file").touch()
    (tree / "inner" / "file").touch()
    (tree / "link").symlink_to(outside)
    (tree / "inner" / "link").symlink_to(outside / "file")
    (tree / "hard").hardlink_to(outside / "file")
    places.hand_over(tree, 64998)
    theirs = {path for path in [tree, *tree.rglob("*")] if path.lstat().st_uid == 64998}
    assert theirs == {tree, tree / "inner", tree / "inner" / "file", tree / "link", tree / "inner" / "link"}
    assert outside.stat().st_uid == (outside / "file").stat().st_uid == 0
