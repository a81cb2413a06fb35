"""What somebody may push to hurt the service. A checkout and an archive of it refuse the same things, so both are tried on these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.integration.source.conftest import Place
from tests.links import Links
from tests.peers.git_http import run_git

Entry = tuple[str, bytes, str]

# Names that no honest commit has: git's own folder, as the file systems of other machines read it, and none at all.
FORBIDDEN_NAMES = [
    b".git",
    b".GIT",
    b".Git",
    b"git~1",
    b"GIT~1",
    b".git.",
    b".git ",
    b".git...",
    b".g\xe2\x80\x8cit",
    b"..",
    b".",
    b".git::$INDEX_ALLOCATION",
]


def push_links(place: Place, links: Links) -> str:
    """A commit with these symbolic links beside `sub/dir/file`, which the service has heard of."""
    place.work.commit({"sub/dir/file": "1"})
    for name, target in links.items():
        (place.work.path / name).parent.mkdir(parents=True, exist_ok=True)
        (place.work.path / name).symlink_to(target)
    commit = place.push({})
    place.fetch()
    return commit


def raw_tree(repository: Path, entries: Sequence[Entry]) -> str:
    """A tree object of exactly these entries, however wrong."""
    body = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
    return run_git(repository, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=body)


def blob(repository: Path, content: bytes) -> str:
    return run_git(repository, "hash-object", "-w", "--stdin", stdin=content)


def commit_of(repository: Path, tree: str, ref: str = "refs/heads/main") -> str:
    commit = run_git(repository, "commit-tree", "-m", "hostile", tree)
    run_git(repository, "update-ref", ref, commit)
    return commit


def slip_in(place: Place, name: bytes) -> str:
    """A commit with a folder of that name, in the mirror all the same: by an old git, or a file server without checks."""
    place.push({"a": "1"})
    place.fetch()
    inner = raw_tree(place.mirror, [("100644", b"config", blob(place.mirror, b"[core]\n"))])
    return commit_of(place.mirror, raw_tree(place.mirror, [("40000", name, inner)]))
