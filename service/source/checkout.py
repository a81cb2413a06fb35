"""Exactly the files of one commit, in a folder of the caller's own, without a `.git`.

Without `.git` because MLRun, loading a folder that is a clone, puts the clone's first remote (with a token, if one is in
it) in the place of the project's `source`. The whole tree is looked through (`manifest`) before the first byte is written. Then
the files come in the quickest way there is (`spare`, `files`), and where symlinks lead is checked before the caller gets them.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from service import limits
from service.source import files
from service.source.git import GitError
from service.source.manifest import Manifest, Manifests
from service.source.mirror import Mirror
from service.source.spare import Spares


@dataclass(frozen=True, slots=True)
class Checkout:
    """`path` is the folder with the repository's files; `tree` the id of the content of the project's folder in it."""

    path: Path
    commit: str
    tree: str


class Checkouts:
    """Makes them, each mirror's with what the last one left: a manifest, spares in the folder `workshop`. Thread-safe."""

    def __init__(self, workshop: Path, manifests: Manifests) -> None:
        self._workshop = workshop
        self._manifests = manifests
        self._spares = Spares(workshop)

    def write(self, mirror: Mirror, commit: str, into: Path, owner: int | None) -> None:
        """The files of `commit` at `into`, in the place of what a failed attempt left there. A spare's are the user `owner`'s
        already, others ours still. Raises CheckoutFailed, GitError, OSError.
        """
        files.discard(into)
        manifest = self._manifests.of(mirror, commit)
        if not self._spares.use(mirror.name, mirror.objects, commit, into, owner):
            self._write(mirror, commit, into, manifest)
        files.check_symlinks(commit, into, manifest)
        self._spares.refill(mirror.name, mirror.git, commit, manifest, into, owner)

    def _write(self, mirror: Mirror, commit: str, into: Path, manifest: Manifest) -> None:
        if manifest.files <= limits.SMALL_FILES and manifest.size <= limits.SMALL_BYTES:
            with contextlib.suppress(GitError):  # git itself says what is wrong, if something is
                into.mkdir()
                files.check_space(commit, into, manifest)
                files.write_small(mirror.objects, commit, into)
                return
        files.discard(into)
        into.mkdir()
        files.check_space(commit, into, manifest)
        with tempfile.TemporaryDirectory(dir=self._workshop) as work:
            files.write(mirror.git, commit, into, Path(work) / "index")
