"""Exactly the files of one commit, in a folder of the caller's own, without a `.git`.

Without `.git` because MLRun, loading a folder that is a clone, puts the clone's first remote (with a token, if one is in
it) in the place of the project's `source`. git itself writes the files, with an index outside of the folder, after the
whole tree was looked through: number, size, depth and names of what it holds are checked before the first byte is
written, and where its symlinks lead before the caller gets it. What was looked through or written once is only
compared with the next time.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from service import limits
from service.errors import CheckoutFailed
from service.source.git import Git, GitError
from service.source.objects import PROGRAM, SUBMODULE, SYMLINK, Found, Objects

# A changed file up to this is written by us, in one piece; a larger one is for git to write.
_MOVED_BYTES = 16 * limits.MIB
# Beyond so many, git is quicker at writing all that there is.
_MOVED_FILES = 5_000
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


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a commit would write."""

    files: int = 0
    size: int = 0
    symlinks: frozenset[str] = frozenset()


def look_through(git: Git, commit: str) -> Manifest:
    """Count and check everything a commit holds. Raises CheckoutFailed, not to be retried; GitError."""
    try:
        output = git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    except GitError as failed:
        if failed.too_much:
            raise refused(commit, f"it holds more than {limits.CHECKOUT_FILES:,} files or very long names") from None
        raise
    files = total = 0
    symlinks = set()
    for entry in output.stdout.split(b"\0")[:-1]:
        meta, _, path = entry.partition(b"\t")
        size = meta.rpartition(b" ")[2]
        if size == b"BAD":
            raise GitError("ls-tree", 0, f"error: missing object: the content of {_text(path)!r}")
        files += 1
        total += 0 if size == b"-" else int(size)
        _check_depth(commit, path)
        if meta.startswith(SYMLINK):
            symlinks.add(_text(path))
    _check_names(commit, output.stdout)
    return _checked(commit, Manifest(files, total, frozenset(symlinks)))


def look_on(objects: Objects, base: str, known: Manifest, commit: str) -> Manifest:
    """The same as `look_through`, at the cost of what differs from `base`, which was looked through. GitError: `too_much`."""
    changes = list(objects.changes(objects.root(base), objects.root(commit)))
    gone = [entry for change in changes if (entry := change.before)]
    new = [entry for change in changes if (entry := change.after)]
    for change in changes:
        if change.after:
            _check_depth(commit, change.path)
            _check_names(commit, b"\t%s\0" % change.path)
    links_gone = {_text(change.path) for change in changes if change.before and change.before.mode == SYMLINK}
    links_new = {_text(change.path) for change in changes if change.after and change.after.mode == SYMLINK}
    return _checked(
        commit,
        Manifest(
            files=known.files - len(gone) + len(new),
            size=known.size - _size(objects, gone) + _size(objects, new),
            symlinks=known.symlinks - links_gone | links_new,
        ),
    )


def _size(objects: Objects, entries: list[Found]) -> int:
    return sum(objects.sizes([entry.id for entry in entries if entry.mode != SUBMODULE]))


def _check_depth(commit: str, path: bytes) -> None:
    if path.count(b"/") >= limits.CHECKOUT_DEPTH:
        raise refused(commit, f"{_text(path)[:80]!r}… lies more than {limits.CHECKOUT_DEPTH} folders deep")


def _check_names(commit: str, listing: bytes) -> None:
    if (found := _FORBIDDEN.search(listing)) is not None:
        raise refused(commit, f"it holds the forbidden name {_text(found[0][1:])!r}")


def _checked(commit: str, manifest: Manifest) -> Manifest:
    if manifest.files > limits.CHECKOUT_FILES:
        raise refused(commit, f"it holds more than {limits.CHECKOUT_FILES:,} files")
    if manifest.size > limits.CHECKOUT_BYTES:
        raise refused(commit, f"its files are larger than {limits.CHECKOUT_BYTES // limits.MIB:,} MiB together")
    return manifest


def check_space(commit: str, folder: Path, manifest: Manifest, *, times: int = 1) -> None:
    """Raises CheckoutFailed where the files would not fit so many times: git itself would only say that it could not write one."""
    disk = os.statvfs(folder)
    files, size = manifest.files * times, manifest.size * times
    if disk.f_bavail * disk.f_frsize < size or (disk.f_files and disk.f_favail < files):
        raise CheckoutFailed(
            f"Commit {commit[:12]} is not checked out: the disk is full",
            mend=f"{manifest.files:,} files of {manifest.size // limits.MIB + 1:,} MiB need space at {folder.parent}",
        )


def write(git: Git, commit: str, into: Path, index: Path, *, in_background: bool = False) -> None:
    """The files of `commit` into the empty folder `into`. `index` is a path where git may put its index."""
    git.run("read-tree", "--reset", "-u", commit, env=_places(into, index), guarded=True, in_background=in_background)


def write_small(objects: Objects, commit: str, into: Path) -> None:
    """The same for a commit of few and small files, which are written before a git would have started.

    `commit` was looked through, so that no name leads anywhere else. GitError: `too_much`, or a mirror that is broken.
    """
    _change(objects, None, commit, into, None)


def move_on(objects: Objects, before: str, commit: str, into: Path, owner: int | None) -> None:
    """Change the folder `into`, untouched since `before` was written to it, to `commit`: at the cost of the difference.

    Not by git, whose index of a large folder costs more to read and write than the change. `commit` was looked through.
    GitError: `too_much`, or a mirror that is broken; the folder is of no use then.
    """
    _change(objects, before, commit, into, owner)


def _change(objects: Objects, before: str | None, commit: str, into: Path, owner: int | None) -> None:
    """All that goes is gone before anything new comes, so that no link is in the way of what is written."""
    changes = list(objects.changes(objects.root(before) if before else None, objects.root(commit)))
    if len(changes) > _MOVED_FILES:
        raise GitError("cat-file", 0, f"more than {_MOVED_FILES:,} files differ", too_much=True)
    for change in changes:
        if change.before:
            _take_away(into, os.fsdecode(change.path), change.before)
    for change in changes:
        if change.after:
            _put(objects, into, os.fsdecode(change.path), change.after, owner)


def _take_away(into: Path, name: str, entry: Found) -> None:
    """With the folders that are empty without it: git knows none."""
    path = into / name
    if entry.mode == SUBMODULE:
        path.rmdir()
    else:
        path.unlink()
    for folder in path.parents:
        if folder == into:
            return
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            return


def _put(objects: Objects, into: Path, name: str, entry: Found, owner: int | None) -> None:
    path = into / name
    made = [path]
    for folder in path.parents:
        if folder == into or folder.is_dir():
            break
        made.append(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.mode == SUBMODULE:
        path.mkdir()
    elif (content := objects.blob(entry.id, _MOVED_BYTES)) is None:
        raise GitError("cat-file", 0, f"{name!r} is large", too_much=True)
    elif entry.mode == SYMLINK:
        path.symlink_to(os.fsdecode(content.partition(b"\0")[0]))  # to git a link ends there, too
    else:
        mode = 0o777 if entry.mode == PROGRAM else 0o666
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
            file.write(content)
    if owner is not None:
        for one in made:
            os.chown(one, owner, owner, follow_symlinks=False)


def give(folder: Path, owner: int) -> None:
    """Everything in a folder that nobody else has seen, links themselves, to the user `owner`."""
    for _, folders, files, handle in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, owner, owner, dir_fd=handle, follow_symlinks=False)
    os.chown(folder, owner, owner)


def check_symlinks(commit: str, folder: Path, manifest: Manifest) -> None:
    """Raises CheckoutFailed where one leads out of `folder`, by whatever way."""
    root = folder.resolve()
    for path in sorted(manifest.symlinks):
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
