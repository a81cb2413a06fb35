"""Looking into a commit without checking it out: one file, one folder, the id of a folder's content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from service import limits
from service.errors import ProjectError
from service.source.git import Git, GitError


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"


_KINDS = {"040000": Kind.FOLDER, "120000": Kind.SYMLINK, "160000": Kind.SUBMODULE}


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder of a commit; not UTF-8 names carry surrogate escapes, as Python's own file names do."""

    name: str
    kind: Kind


def kind_of(mode: str) -> Kind:
    return _KINDS.get(mode, Kind.FILE)


def clean_path(path: str) -> str:
    """A path inside a repository: `""` for its root, no `.` or `..`, `/` between. Raises ProjectError."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or re.search(r"[\x00-\x1f\x7f]", path) or len(path) > 4096:
        raise ProjectError(
            f"{path[:200]!r} is no path inside a repository", mend="Write it relative to the repository's root"
        )
    return "/".join(parts)


def read_file(git: Git, commit: str, path: str) -> bytes | None:
    """The content of a file, None where there is none. A symlink is followed as long as it stays inside.

    Raises ProjectError beyond limits.REPOSITORY_FILE_BYTES, GitError.
    """
    path = clean_path(path)
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
    if words[1:2] == [b"blob"] and len(words) == 3:
        size = int(words[2])
        if size > limits.REPOSITORY_FILE_BYTES:
            raise _too_large(path)
        return rest[:size]
    if header.endswith(b" missing") and _exists(git, commit, path):
        raise GitError("cat-file", output.status, f"error: missing object {path!r} of {commit}. {output.stderr}")
    return None


def _too_large(path: str) -> ProjectError:
    return ProjectError(
        f"{path} is larger than {limits.REPOSITORY_FILE_BYTES // limits.KIB:,} KiB",
        mend="Keep data out of configuration files",
    )


def _exists(git: Git, commit: str, path: str) -> bool:
    """Whether the commit's tree names `path`. Fails where the commit itself is missing."""
    output = git.run("ls-tree", "-z", "--full-tree", commit, "--", path)
    kind = kind_of(output.stdout[:6].decode())
    return bool(output.stdout) and kind is Kind.FILE


def list_dir(git: Git, commit: str, path: str) -> tuple[Entry, ...] | None:
    """What is in a folder, in git's order; None where there is no such folder."""
    if tree(git, commit, path) is None:
        return None
    output = git.run("ls-tree", "-z", f"{commit}:{clean_path(path)}")
    entries = []
    for line in output.stdout.split(b"\0")[:-1]:
        meta, _, name = line.partition(b"\t")
        entries.append(Entry(name.decode("utf-8", "surrogateescape"), kind_of(meta[:6].decode())))
    return tuple(entries)


def tree(git: Git, commit: str, path: str) -> str | None:
    """The id of a folder's content: equal ids, equal files. None where there is no such folder."""
    path = clean_path(path)
    # The commit itself is asked for first, so that "no such commit" and "no such folder" differ.
    asked = f"{commit}^{{tree}}\n" + (f"{commit}:{path}\n" if path else "")
    output = git.run(
        "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked.encode("utf-8", "surrogateescape")
    )
    answers = [line.split(b" ") for line in output.stdout.splitlines()]
    if answers[0][1:] != [b"tree"]:
        raise GitError("cat-file", output.status, f"error: missing object {commit}. {output.stderr}")
    return answers[-1][0].decode() if answers[-1][1:] == [b"tree"] else None
