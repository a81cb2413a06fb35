"""The files of one commit on the disk: written by git, or by us where that is quicker.

git writes them with an index outside of the folder. A commit of few small files, and a small change to files that are there
already, are written by us: so no git has to start, and none has to read the index of a large folder. Each of these expects a
commit that was looked through (`manifest`).
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from service import limits
from service.errors import CheckoutFailed
from service.source.git import Git, GitError
from service.source.manifest import Manifest, refused
from service.source.objects import PROGRAM, SUBMODULE, SYMLINK, Found, Objects

# A changed file up to this is written by us, in one piece; a larger one is for git to write.
_MOVED_BYTES = 16 * limits.MIB
# Beyond so many, git is quicker at writing all that there is.
_MOVED_FILES = 5_000


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


def discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _places(into: Path, index: Path) -> dict[str, str]:
    return {"GIT_WORK_TREE": str(into), "GIT_INDEX_FILE": str(index)}
