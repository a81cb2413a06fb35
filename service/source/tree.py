"""Looking into a commit without checking it out: one file, one folder, the id of a folder's content."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum

from service import limits
from service.errors import ProjectError
from service.source.git import Git, GitError
from service.source.objects import FOLDER, SUBMODULE, SYMLINK, Objects


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"


_KINDS = {FOLDER: Kind.FOLDER, SYMLINK: Kind.SYMLINK, SUBMODULE: Kind.SUBMODULE}


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder of a commit; not UTF-8 names carry surrogate escapes, as Python's own file names do."""

    name: str
    kind: Kind


def clean_path(path: str) -> str:
    """A path inside a repository: `""` for its root, no `.` or `..`, `/` between. Raises ProjectError."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or re.search(r"[\x00-\x1f\x7f]", path) or len(path) > 4096:
        raise ProjectError(
            f"{path[:200]!r} is no path inside a repository", mend="Write it relative to the repository's root"
        )
    return "/".join(parts)


def read_file(git: Git, objects: Objects, commit: str, path: str) -> bytes | None:
    """The content of a file, None where there is none. A symlink is followed as long as it stays inside.

    Raises ProjectError beyond limits.REPOSITORY_FILE_BYTES, GitError.
    """
    path = clean_path(path)
    found = objects.find(commit, path)
    if found is None or found.mode in (FOLDER, SUBMODULE):
        return None
    if found.mode == SYMLINK:
        return _read_by_links(git, commit, path)
    if (content := objects.blob(found.id, limits.REPOSITORY_FILE_BYTES)) is None:
        raise _too_large(path)
    return content


def _read_by_links(git: Git, commit: str, path: str) -> bytes | None:
    """A file that symlinks lead to."""
    asked = f"{commit}:{path}\n".encode("utf-8", "surrogateescape")
    try:
        output = git.run(
            "cat-file", "--batch", "--follow-symlinks", stdin=asked, cap=limits.REPOSITORY_FILE_BYTES + limits.KIB
        )
    except GitError as failed:
        if failed.too_much:
            raise _too_large(path) from None
        raise
    header, _, rest = output.stdout.partition(b"\n")
    words = header.split(b" ")
    if words[1:2] != [b"blob"] or len(words) != 3:
        return None
    size = int(words[2])
    if size > limits.REPOSITORY_FILE_BYTES:
        raise _too_large(path)
    return rest[:size]


def _too_large(path: str) -> ProjectError:
    return ProjectError(
        f"{path} is larger than {limits.REPOSITORY_FILE_BYTES // limits.KIB:,} KiB",
        mend="Keep data out of configuration files",
    )


def list_dir(objects: Objects, commit: str, path: str) -> tuple[Entry, ...] | None:
    """What is in a folder, in git's order; None where there is no such folder."""
    if (folder := tree(objects, commit, path)) is None:
        return None
    entries = objects.folder(folder).items()
    return tuple(Entry(os.fsdecode(name), _KINDS.get(found.mode, Kind.FILE)) for name, found in entries)


def tree(objects: Objects, commit: str, path: str) -> str | None:
    """The id of a folder's content: equal ids, equal files. None where there is no such folder."""
    found = objects.find(commit, clean_path(path))
    return found.id if found is not None and found.mode == FOLDER else None
