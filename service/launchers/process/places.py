"""Whose user a job runs as, and where jobs and runner environments lie.

As root, jobs get a user of their own, so that they can read neither `data_dir` (0700) nor the service's memory. Then
everything a job needs has to be reachable for that user, which `data_dir` and root's home are not.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from service.errors import LaunchFailed, RunnerEnvironmentError
from service.settings import Settings

# Free in Debian's scheme (60000-64999 is allocated statically, this one to nobody) and without an entry in passwd.
RUNNER_USER = 64998


def runner_user(settings: Settings) -> int | None:
    """The uid (and gid) jobs run as; None when they run as the service's own user."""
    if os.geteuid() != 0:
        return None
    user = RUNNER_USER if settings.launcher.user is None else settings.launcher.user
    return user or None


def runs_dir(settings: Settings) -> Path:
    """The directory of all jobs, made if need be.

    Asked for by `launcher.runs_dir`; else in `data_dir`; else, for a runner's user of its own, beside `data_dir`, or
    under /var/lib where that can't be reached.
    """
    user, data = runner_user(settings), settings.data_dir.resolve()
    if settings.launcher.runs_dir is not None:
        return _own(settings.launcher.runs_dir.resolve(), user)
    if user is None:
        return _own(data / "runs", user)
    beside = data.with_name(f"{data.name}-runs")
    if reachable(beside.parent, user):
        return _own(beside, user)
    return _own(Path("/var/lib") / f"mlrun-gitops-runs-{hashlib.sha256(bytes(data)).hexdigest()[:12]}", user)


def place(settings: Settings) -> str:
    """A name of the directory of all jobs on this machine as it runs now: locks tell of life only there."""
    there = runs_dir(settings).stat()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return hashlib.sha256(f"{boot} {there.st_dev} {there.st_ino}".encode()).hexdigest()[:8]


def cache_dir(settings: Settings) -> Path:
    """Where runner environments are kept, made if need be."""
    if settings.launcher.cache_dir is not None:
        return _own(settings.launcher.cache_dir.resolve(), runner_user(settings), kind="cache_dir")
    if os.geteuid() == 0:
        return _own(Path("/var/cache/mlrun-gitops"), runner_user(settings), kind="cache_dir")
    base = os.environ.get("XDG_CACHE_HOME")
    home = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return _own(home / "mlrun-gitops", None, kind="cache_dir")


def uv_binary() -> Path:
    """The installer of environments. Raises RunnerEnvironmentError where there is none: the container image has no use for it."""
    try:
        import uv
    except ModuleNotFoundError:
        raise RunnerEnvironmentError(
            "uv is not installed, by which environments of the process launcher are made",
            mend="In a container use launcher.kind: kubernetes; elsewhere install requirements/service.txt",
        ) from None
    return Path(uv.find_uv_bin())


def reachable(path: Path, user: int) -> bool:
    """Whether `user` may go through `path` and all directories above it."""
    return blocked_at(path, user) is None


def blocked_at(path: Path, user: int) -> Path | None:
    """The uppermost directory that `user` can't go through on its way to `path`."""
    path = path.resolve()
    for place in (*reversed(path.parents), path):
        try:
            status = place.stat()
        except OSError:
            return place
        if stat.S_ISDIR(status.st_mode) and not _may_enter(status, user):
            return place
    return None


def _may_enter(status: os.stat_result, user: int) -> bool:
    if status.st_uid == user:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid == user else stat.S_IXOTH))


def _own(path: Path, user: int | None, kind: str = "runs_dir") -> Path:
    """Make `path` ours. One that somebody else made there first, or can write to, would be theirs to swap later."""
    mend = f"Set launcher.{kind} to a directory that only the service's user can write to"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = path.lstat()
    except OSError as error:
        raise LaunchFailed(f"cannot make the directory {path}: {error.strerror}", mend=mend) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise LaunchFailed(f"{path} is not a directory of the service's user alone", mend=mend)
    if user is not None:
        path.chmod(0o711 if kind == "runs_dir" else 0o755)
        if blocked := blocked_at(path, user):
            raise LaunchFailed(
                f"jobs run as user {user}, who cannot reach {path} because of {blocked}",
                mend=f"Set launcher.{kind} to a directory whose parents everybody may go through (mode 0711 or 0755)",
            )
    return path


def hand_over(path: Path, user: int | None) -> None:
    """Give a tree of the service to the runner's user, its top last; links are handed over themselves, never what they name."""
    if user is None:
        return
    for _, _, files, handle in os.fwalk(path, topdown=False, follow_symlinks=False):
        for name in files:
            status = os.lstat(name, dir_fd=handle)
            # A hard link is also somebody else's file (git's objects, when it clones locally).
            if status.st_nlink == 1 and status.st_uid != user:
                os.chown(name, user, user, dir_fd=handle, follow_symlinks=False)
        for entry in os.scandir(handle):
            if entry.is_symlink():
                os.chown(entry.name, user, user, dir_fd=handle, follow_symlinks=False)
        os.fchown(handle, user, user)
