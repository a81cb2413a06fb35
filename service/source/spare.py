"""Large repositories: a checkout that costs by what changed, not by what there is.

Writing 100,000 files takes seconds, whatever way, and so does giving them to the runner's user. So after a checkout of a
large commit two more are made in the background, which nobody has ever seen: the *spares*, one for the load and one for the run of
the next push. The next checkout takes one, changes the few files that differ, and hands it over; then it is replaced.
Nothing is ever shared between two checkouts (no hard links, no common folder), so what user code does to its own harms
nobody. A spare lives in this process's workshop only.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from service import limits
from service.errors import CheckoutFailed, Stopping
from service.source import files
from service.source.git import Git, GitError, NoGitError
from service.source.manifest import Manifest
from service.source.objects import Objects

# So long after the last checkout: the job that it was made for comes first.
_REST_S = 0.5
# A spare is made where so many would fit: however many repositories there are, jobs come before spares on the disk.
_ROOM = 10


@dataclass(frozen=True, slots=True)
class Spare:
    """Files of `commit` in `folder`, untouched since git wrote them; they belong to `owner` (None: to us)."""

    commit: str
    owner: int | None
    folder: Path

    @property
    def files(self) -> Path:
        return self.folder / "files"


class Spares:
    """Some spares a repository; thread-safe."""

    def __init__(self, workshop: Path) -> None:
        self._workshop = workshop
        self._ready: dict[str, list[Spare]] = {}
        self._making: set[str] = set()
        self._used_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()

    def use(self, name: str, objects: Objects, commit: str, into: Path, owner: int | None) -> bool:
        """Put the files of `commit` at `into`, which does not exist. False where there is no spare that serves.

        They belong to `owner` then.
        """
        self._used_at[name] = time.monotonic()
        if not self._near(into) or (spare := self._take(name, owner)) is None:
            return False
        try:
            if spare.commit != commit:
                files.move_on(objects, spare.commit, commit, spare.files, owner)
            spare.files.rename(into)
        except (GitError, OSError):  # its commit is lost with an old mirror; the disk is full; a great change
            return False
        finally:
            shutil.rmtree(spare.folder, ignore_errors=True)
        return True

    def _take(self, name: str, owner: int | None) -> Spare | None:
        with self._lock:
            ready = self._ready.get(name, [])
            fits = next((spare for spare in reversed(ready) if spare.owner == owner), None)
            if fits is not None:
                ready.remove(fits)
            return fits

    def refill(self, name: str, git: Git, commit: str, manifest: Manifest, used_at: Path, owner: int | None) -> None:
        """Make spares of `commit` in the background, if it is large enough to be worth it and they can be moved there."""
        if manifest.files < limits.SPARE_FILES or manifest.size > limits.SPARE_BYTES or not self._near(used_at):
            return
        with self._lock:
            if name in self._making or len(self._ready.get(name, [])) >= limits.SPARES:
                return
            self._making.add(name)
        threading.Thread(
            target=self._fill, args=(name, git, commit, manifest, owner), name=f"spare {name}", daemon=True
        ).start()

    def _near(self, path: Path) -> bool:
        """Whether a spare can be moved to `path`: only within one file system."""
        return path.parent.stat().st_dev == self._workshop.stat().st_dev

    def _fill(self, name: str, git: Git, commit: str, manifest: Manifest, owner: int | None) -> None:
        """Failing is no harm: the next checkout writes everything itself."""
        try:
            while len(self._ready.get(name, [])) < limits.SPARES:
                while (rest := self._used_at.get(name, 0.0) + _REST_S - time.monotonic()) > 0:
                    time.sleep(rest)
                with self._one_at_a_time:
                    spare = self._make(git, commit, manifest, owner)
                if spare is None:
                    return
                with self._lock:
                    self._ready.setdefault(name, []).append(spare)
        finally:
            with self._lock:
                self._making.discard(name)

    def _make(self, git: Git, commit: str, manifest: Manifest, owner: int | None) -> Spare | None:
        spare = None
        with contextlib.suppress(GitError, NoGitError, OSError, CheckoutFailed, Stopping):
            spare = Spare(commit, owner, Path(tempfile.mkdtemp(dir=self._workshop, prefix="spare-")))
            files.check_space(commit, spare.folder, manifest, times=_ROOM)
            spare.files.mkdir()
            files.write(git, commit, spare.files, spare.folder / "index", in_background=True)
            if owner is not None:
                files.give(spare.files, owner)
            return spare
        if spare is not None:
            shutil.rmtree(spare.folder, ignore_errors=True)
        return None
