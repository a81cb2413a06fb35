"""What lies between two commits: paths, messages, ancestry. All from the mirror, never from what a forge sent."""

from __future__ import annotations

from dataclasses import dataclass

from service import limits
from service.source.git import Git, GitError

_FIELDS = ("%H", "%an", "%ae", "%ct", "%B")


@dataclass(frozen=True, slots=True)
class Commit:
    """`time` is when it was committed, in seconds of Unix time; `message` is whole (up to a cap), `subject` its first line."""

    sha: str
    author: str
    email: str
    subject: str
    message: str
    time: int


def changed_paths(git: Git, base: str | None, commit: str) -> tuple[str, ...] | None:
    """Paths whose content differs between the trees of `base` and `commit`; a rename counts both names.

    None = unknown: no base, or one that was rewritten away. () = the same files.
    """
    if base is None or not contains(git, base, commit):
        return None
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


def contains(git: Git, ancestor: str, descendant: str) -> bool:
    """Whether `ancestor` is `descendant` or in its history. An unknown `ancestor` is in nobody's."""
    output = git.run("merge-base", "--is-ancestor", ancestor, descendant, ok=(0, 1, 128))
    if output.status == 128:
        asked = f"{ancestor}^{{commit}}\n{descendant}^{{commit}}\n".encode()
        known = git.run("cat-file", "--batch-check=%(objecttype)", stdin=asked).stdout.splitlines()
        if known[1:] != [b"commit"]:
            raise GitError("merge-base", output.status, f"error: missing object {descendant}. {output.stderr}")
        if known[0] == b"commit":
            raise GitError("merge-base", output.status, output.stderr)
    return output.status == 0


def log(git: Git, base: str | None, commit: str, limit: int) -> tuple[Commit, ...]:
    """The commits that `commit` has and `base` has not, newest first, at most `limit`.

    Without a base, or with one that is not in its history, that is its history.
    """
    since = [f"^{base}"] if base is not None and contains(git, base, commit) else []
    output = git.run(
        "log", "-z", "--no-show-signature", "--no-mailmap", "--no-notes", "--no-decorate", "--no-color",
        f"--max-count={limit}", f"--format=tformat:{'%x00'.join(_FIELDS)}", "--end-of-options", commit, *since, "--",
    )  # fmt: skip
    words = output.stdout.decode("utf-8", "replace").split("\0")
    width = len(_FIELDS)
    return tuple(_commit(words[at : at + width]) for at in range(0, len(words) - width + 1, width))


def _commit(words: list[str]) -> Commit:
    sha, author, email, time, message = words
    message = message.strip("\n")[: limits.COMMIT_MESSAGE_CHARACTERS]
    return Commit(sha, author, email, message.partition("\n")[0].strip(), message, int(time or 0))
