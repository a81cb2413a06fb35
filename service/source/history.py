"""What lies between two commits: paths, messages, ancestry. All from the mirror, never from what a forge sent.

Mostly that is one commit or a few in a row, which are read one by one; whatever is longer or has merges is git's to walk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from service import limits
from service.source.git import Git, GitError
from service.source.objects import Objects, parents_of

_FIELDS = ("%H", "%an", "%ae", "%ct", "%B")
# Commits in a row that cost less to read than a git costs to start.
_IN_A_ROW = 20
# The space before the time is missing in some honest old histories; git reads those, too.
_PERSON = re.compile(rb"^(author|committer) (.*?) ?<([^\n]*)> ?(\d+) [-+]\d+$", re.MULTILINE)
_ENCODING = re.compile(rb"^encoding (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Commit:
    """`time` is when it was committed, in seconds of Unix time; `message` is whole (up to a cap), `subject` its first line."""

    sha: str
    author: str
    email: str
    subject: str
    message: str
    time: int


def changed_paths(git: Git, objects: Objects, base: str | None, commit: str) -> tuple[str, ...] | None:
    """Paths whose content differs between the trees of `base` and `commit`; a rename counts both names.

    None = unknown: no base, or one that was rewritten away. () = the same files.
    """
    if base is None or not contains(git, objects, base, commit):
        return None
    try:
        changes = list(objects.changes(objects.root(base), objects.root(commit)))
    except GitError as failed:
        if failed.too_much:
            return _many_changed_paths(git, base, commit)
        raise
    return tuple(sorted(change.path.decode("utf-8", "surrogateescape") for change in changes))


def _many_changed_paths(git: Git, base: str, commit: str) -> tuple[str, ...] | None:
    try:
        output = git.run(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv",
            "--ignore-submodules=none", "--end-of-options", base, commit,
        )  # fmt: skip
    except GitError as failed:
        if failed.too_much:
            return None
        raise
    return tuple(path.decode("utf-8", "surrogateescape") for path in output.stdout.split(b"\0")[:-1])


def contains(git: Git, objects: Objects, ancestor: str, descendant: str) -> bool:
    """Whether `ancestor` is `descendant` or in its history. An unknown `ancestor` is in nobody's."""
    if _row(objects, ancestor, descendant) is not None:
        return True
    output = git.run("merge-base", "--is-ancestor", ancestor, descendant, ok=(0, 1, 128))
    if output.status == 128:
        asked = f"{ancestor}^{{commit}}\n{descendant}^{{commit}}\n".encode()
        known = git.run("cat-file", "--batch-check=%(objecttype)", stdin=asked).stdout.splitlines()
        if known[1:] != [b"commit"]:
            raise GitError("merge-base", output.status, f"error: missing object {descendant}. {output.stderr}")
        if known[0] == b"commit":
            raise GitError("merge-base", output.status, output.stderr)
    return output.status == 0


def log(git: Git, objects: Objects, base: str | None, commit: str, limit: int) -> tuple[Commit, ...]:
    """The commits that `commit` has and `base` has not, newest first, at most `limit`.

    Without a base, or with one that is not in its history, that is its history.
    """
    if limit == 1 and base is None:
        return (_parsed(commit, objects.commit(commit)),)
    if base is not None and (row := _row(objects, base, commit)) is not None:
        return tuple(_parsed(sha, data) for sha, data in list(row.items())[:limit])
    since = [f"^{base}"] if base is not None and contains(git, objects, base, commit) else []
    output = git.run(
        "log", "-z", "--no-show-signature", "--no-mailmap", "--no-notes", "--no-decorate", "--no-color",
        f"--max-count={limit}", f"--format=tformat:{'%x00'.join(_FIELDS)}", "--end-of-options", commit, *since, "--",
    )  # fmt: skip
    words = output.stdout.decode("utf-8", "replace").split("\0")
    width = len(_FIELDS)
    return tuple(_commit(*words[at : at + width]) for at in range(0, len(words) - width + 1, width))


def _row(objects: Objects, base: str, commit: str) -> dict[str, bytes] | None:
    """`commit` and what lies between it and `base`, which is the last one's only parent; None where it is not that simple."""
    found: dict[str, bytes] = {}
    for _ in range(_IN_A_ROW):
        if commit == base:
            return found
        found[commit] = data = objects.commit(commit)
        parents = parents_of(data)
        if len(parents) != 1:
            return None
        (commit,) = parents
    return None


def _parsed(sha: str, data: bytes) -> Commit:
    """A commit from how git keeps it, as `log` shows it."""
    header, _, message = data.partition(b"\n\n")
    people = {kind: (name, email, time) for kind, name, email, time in _PERSON.findall(header)}
    author, email, _ = people.get(b"author", (b"", b"", b""))
    time = people.get(b"committer", (b"", b"", b"0"))[2].decode()
    encoding = _ENCODING.search(header)
    name = encoding[1].decode("ascii", "replace") if encoding else "utf-8"
    return _commit(sha, _decoded(author, name), _decoded(email, name), time, _decoded(message, name))


def _decoded(text: bytes, encoding: str) -> str:
    """`encoding` is whatever the commit says. Python has some that are unfit for it and fail in ways of their own."""
    try:
        return text.decode(encoding, "replace")
    except (LookupError, ValueError):
        return text.decode("utf-8", "replace")


def _commit(sha: str, author: str, email: str, time: str, message: str) -> Commit:
    message = message.strip("\n")[: limits.COMMIT_MESSAGE_CHARACTERS]
    return Commit(sha, author, email, message.partition("\n")[0].strip(), message, int(time or 0))
