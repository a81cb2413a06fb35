"""Large repositories: a checkout that costs by what changed, not by what there is.

Writing 100,000 files takes seconds, whatever way. So after a checkout of a large commit another one is made in the
background, which nobody has ever seen: the *spare*. The next checkout takes it, has git change the few files that
differ, and hands it over; then the next spare is made. Nothing is ever shared between two checkouts (no hard links, no
common folder), so what user code does to its own harms nobody. A spare lives in this process's workshop only.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from service import limits
from service.errors import CheckoutFailed
from service.source import checkout
from service.source.checkout import Manifest
from service.source.git import Git, GitError, NoGitError


@dataclass(frozen=True, slots=True)
class Spare:
    """Files of `commit`, untouched since git wrote them; `folder` holds them and git's index of them."""

    commit: str
    folder: Path

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def index(self) -> Path:
        return self.folder / "index"


class Spares:
    """At most one spare a repository; thread-safe."""

    def __init__(self, workshop: Path) -> None:
        self._workshop = workshop
        self._ready: dict[str, Spare] = {}
        self._making: set[str] = set()
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()

    def use(self, name: str, git: Git, commit: str, into: Path) -> bool:
        """Put the files of `commit` at `into`, which does not exist. False where there is no spare that serves."""
        if not self._near(into):
            return False
        with self._lock:
            spare = self._ready.pop(name, None)
        if spare is None:
            return False
        try:
            if spare.commit != commit:
                checkout.move_on(git, spare.commit, commit, spare.files, spare.index)
            spare.files.rename(into)
        except (GitError, OSError):  # its commit is lost with an old mirror; the disk is full
            return False
        finally:
            shutil.rmtree(spare.folder, ignore_errors=True)
        return True

    def refill(self, name: str, git: Git, commit: str, manifest: Manifest, used_at: Path) -> None:
        """Make a spare of `commit` in the background, if it is large enough to be worth it and can be moved there."""
        if manifest.files < limits.SPARE_FILES or manifest.size > limits.SPARE_BYTES or not self._near(used_at):
            return
        with self._lock:
            if name in self._making or (name in self._ready and self._ready[name].commit == commit):
                return
            self._making.add(name)
        threading.Thread(
            target=self._make, args=(name, git, commit, manifest), name=f"spare {name}", daemon=True
        ).start()

    def _near(self, path: Path) -> bool:
        """Whether a spare can be moved to `path`: only within one file system."""
        return path.parent.stat().st_dev == self._workshop.stat().st_dev

    def _make(self, name: str, git: Git, commit: str, manifest: Manifest) -> None:
        """Failing is no harm: the next checkout writes everything itself."""
        spare = None
        with self._one_at_a_time, contextlib.suppress(GitError, NoGitError, OSError, CheckoutFailed):
            spare = Spare(commit, Path(tempfile.mkdtemp(dir=self._workshop, prefix="spare-")))
            checkout.check_space(commit, spare.folder, manifest)
            spare.files.mkdir()
            checkout.write(git, commit, spare.files, spare.index, in_background=True)
            with self._lock:
                self._ready[name], spare = spare, self._ready.get(name)
        with self._lock:
            self._making.discard(name)
        if spare is not None:  # an older one, or what became of a failure
            shutil.rmtree(spare.folder, ignore_errors=True)
