"""Exactly the files of one commit, in a folder of the caller's own, without a `.git`.

Without `.git` because MLRun, loading a folder that is a clone, puts the clone's first remote (with a token, if one is in
it) in the place of the project's `source`. git itself writes the files, with an index outside of the folder, after the
whole tree was looked through: number, size, depth and names of what it holds are checked before the first byte is
written, and where its symlinks lead before the caller gets it.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from service import limits
from service.errors import CheckoutFailed
from service.source.git import Git, GitError

# Characters that HFS+ leaves out when it compares names.
_UNSEEN = rb"(?:\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf)"
# Names in a listing that are none, or are `.git` as the file systems of other machines read it: an attack or an accident.
_FORBIDDEN = re.compile(
    rb"[\t/](?:\.{0,2}|(?:%(u)s*\.%(u)s*g%(u)s*i%(u)s*t|git~1)(?:[. ]|%(u)s)*(?::[^/\0]*)?)(?=[/\0])" % {b"u": _UNSEEN},
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Checkout:
    """`path` is the folder with the repository's files; `tree` the id of the content of the project's folder in it."""

    path: Path
    commit: str
    tree: str


@dataclass(slots=True)
class Manifest:
    """What a commit would write."""

    files: int = 0
    size: int = 0
    symlinks: list[str] = field(default_factory=list)


def look_through(git: Git, commit: str) -> Manifest:
    """Count and check everything a commit holds. Raises CheckoutFailed, not to be retried; GitError."""
    try:
        output = git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    except GitError as failed:
        if failed.too_much:
            raise refused(commit, f"it holds more than {limits.CHECKOUT_FILES:,} files or very long names") from None
        raise
    manifest = Manifest()
    for entry in output.stdout.split(b"\0")[:-1]:
        meta, _, path = entry.partition(b"\t")
        size = meta.rpartition(b" ")[2]
        if size == b"BAD":
            raise GitError("ls-tree", 0, f"error: missing object: the content of {_text(path)!r}")
        manifest.files += 1
        manifest.size += 0 if size == b"-" else int(size)
        if path.count(b"/") >= limits.CHECKOUT_DEPTH:
            raise refused(commit, f"{_text(path)[:80]!r}… lies more than {limits.CHECKOUT_DEPTH} folders deep")
        if meta.startswith(b"120000"):
            manifest.symlinks.append(_text(path))
    if manifest.files > limits.CHECKOUT_FILES:
        raise refused(commit, f"it holds more than {limits.CHECKOUT_FILES:,} files")
    if manifest.size > limits.CHECKOUT_BYTES:
        raise refused(commit, f"its files are larger than {limits.CHECKOUT_BYTES // limits.MIB:,} MiB together")
    if (found := _FORBIDDEN.search(output.stdout)) is not None:
        raise refused(commit, f"it holds the forbidden name {_text(found[0][1:])!r}")
    return manifest


def check_space(commit: str, folder: Path, manifest: Manifest) -> None:
    """Raises CheckoutFailed where the files would not fit: git itself would only say that it could not write one."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < manifest.size or (disk.f_files and disk.f_favail < manifest.files):
        raise CheckoutFailed(
            f"Commit {commit[:12]} is not checked out: the disk is full",
            mend=f"{manifest.files:,} files of {manifest.size // limits.MIB + 1:,} MiB need space at {folder.parent}",
        )


def write(git: Git, commit: str, into: Path, index: Path, *, in_background: bool = False) -> None:
    """The files of `commit` into the empty folder `into`. `index` is a path where git may put its index."""
    git.run("read-tree", "--reset", "-u", commit, env=_places(into, index), guarded=True, in_background=in_background)


def move_on(git: Git, before: str, commit: str, into: Path, index: Path) -> None:
    """Change the folder `into`, untouched since `before` was written to it, to `commit`: at the cost of the difference."""
    git.run("read-tree", "-m", "-u", before, commit, env=_places(into, index), guarded=True)


def check_symlinks(commit: str, folder: Path, manifest: Manifest) -> None:
    """Raises CheckoutFailed where one leads out of `folder`, by whatever way."""
    root = folder.resolve()
    for path in manifest.symlinks:
        link = root / path
        # realpath, for Path.resolve raises on loops, which are harmless.
        if link.readlink().is_absolute() or not Path(os.path.realpath(link)).is_relative_to(root):
            raise refused(commit, f"the symlink {path!r} leads out of the repository")


def refused(commit: str, why: str) -> CheckoutFailed:
    error = CheckoutFailed(
        f"Commit {commit[:12]} is not checked out: {why}", mend="Correct it in the repository and push"
    )
    error.retry = False
    return error


def discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _places(into: Path, index: Path) -> dict[str, str]:
    return {"GIT_WORK_TREE": str(into), "GIT_INDEX_FILE": str(index)}


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
