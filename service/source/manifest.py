"""What a commit would write, looked through before the first byte of it is written.

Number, size, depth and names of what it holds are checked, whether a checkout or an archive is to be made of it. What was looked
through once is only compared with the next time.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

from service import limits
from service.errors import CheckoutFailed
from service.source.git import Git, GitError
from service.source.mirror import Mirror
from service.source.objects import SUBMODULE, SYMLINK, Found, Objects

# Characters that HFS+ leaves out when it compares names.
_UNSEEN = rb"(?:\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf)"
# Names in a listing that are none, or are `.git` as the file systems of other machines read it: an attack or an accident.
_FORBIDDEN = re.compile(
    rb"[\t/](?:\.{0,2}|(?:%(u)s*\.%(u)s*g%(u)s*i%(u)s*t|git~1)(?:[. ]|%(u)s)*(?::[^/\0]*)?)(?=[/\0])" % {b"u": _UNSEEN},
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a commit would write."""

    files: int = 0
    size: int = 0
    symlinks: frozenset[str] = frozenset()


class Manifests:
    """Of each mirror the one that was asked for last is remembered; thread-safe."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, Manifest]] = {}

    def of(self, mirror: Mirror, commit: str) -> Manifest:
        """By what differs from the last one. Raises CheckoutFailed, not to be retried; GitError."""
        base, known = self._last.get(mirror.name, (None, None))
        manifest = None
        if base is not None and known is not None:
            with contextlib.suppress(GitError):  # very much differs, or the mirror is another one by now
                manifest = known if base == commit else _look_on(mirror.objects, base, known, commit)
        if manifest is None:
            manifest = _look_through(mirror.git, commit)
        self._last[mirror.name] = commit, manifest
        return manifest


def listing(git: Git, commit: str) -> bytes:
    """Everything that a commit holds, in git's own order: `MODE TYPE ID SIZE`, a tab, the path and a NUL each."""
    return git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit).stdout


def _look_through(git: Git, commit: str) -> Manifest:
    """Count and check everything a commit holds. Raises CheckoutFailed, not to be retried; GitError."""
    try:
        listed = listing(git, commit)
    except GitError as failed:
        if failed.too_much:
            raise refused(commit, f"it holds more than {limits.CHECKOUT_FILES:,} files or very long names") from None
        raise
    files = total = 0
    symlinks = set()
    for entry in listed.split(b"\0")[:-1]:
        meta, _, path = entry.partition(b"\t")
        size = meta.rpartition(b" ")[2]
        if size == b"BAD":
            raise GitError("ls-tree", 0, f"error: missing object: the content of {_text(path)!r}")
        files += 1
        total += 0 if size == b"-" else int(size)
        _check_depth(commit, path)
        if meta.startswith(SYMLINK):
            symlinks.add(_text(path))
    _check_names(commit, listed)
    return _checked(commit, Manifest(files, total, frozenset(symlinks)))


def _look_on(objects: Objects, base: str, known: Manifest, commit: str) -> Manifest:
    """The same as `_look_through`, at the cost of what differs from `base`, which was looked through. GitError: `too_much`."""
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


def _check_names(commit: str, listed: bytes) -> None:
    if (found := _FORBIDDEN.search(listed)) is not None:
        raise refused(commit, f"it holds the forbidden name {_text(found[0][1:])!r}")


def _checked(commit: str, manifest: Manifest) -> Manifest:
    if manifest.files > limits.CHECKOUT_FILES:
        raise refused(commit, f"it holds more than {limits.CHECKOUT_FILES:,} files")
    if manifest.size > limits.CHECKOUT_BYTES:
        raise refused(commit, f"its files are larger than {limits.CHECKOUT_BYTES // limits.MIB:,} MiB together")
    return manifest


def refused(commit: str, why: str) -> CheckoutFailed:
    error = CheckoutFailed(
        f"Commit {commit[:12]} is not checked out: {why}", mend="Correct it in the repository and push"
    )
    error.retry = False
    return error


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
