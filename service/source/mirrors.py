"""The mirrors at hand, and reading them: one that turns out to be broken is cloned anew on the spot, and read once more."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from service import limits
from service.errors import CheckoutFailed, RefMissing, RepositoryUnreachable, SourceError
from service.settings import Repository
from service.source.failures import looks_broken, no_git, unreachable, unwritable, words
from service.source.git import GitError, NoGitError
from service.source.mirror import Mirror, Places
from service.source.pump import Interrupt
from service.source.tips import Tips

T = TypeVar("T")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Mirrors:
    """Each is made when it is first asked for; thread-safe. What may go wrong is raised as `Source` says."""

    def __init__(
        self,
        places: Places,
        workshop: Path,
        repositories: Iterable[Repository],
        *,
        timeout_s: float,
        clone_timeout_s: float,
    ) -> None:
        self._places = places
        self._workshop = workshop
        self._timeout_s = timeout_s
        self._clone_timeout_s = clone_timeout_s
        self._repositories = {repository.name: repository for repository in repositories}
        self._mirrors: dict[str, Mirror] = {}  # the last one used is the last
        self._lock = threading.Lock()
        self._interrupt = Interrupt()

    def fetch(self, repository: Repository) -> Tips:
        with self._lock:
            self._repositories[repository.name] = repository
        try:
            return self.of(repository.name).fetch(repository)
        except NoGitError:
            raise no_git() from None
        except GitError as failed:
            raise unreachable(repository.name, failed) from None
        except OSError as error:
            raise RepositoryUnreachable(
                f"Repository {repository.name} cannot be mirrored: {error.strerror}",
                mend="Look at the disk and the permissions of data_dir",
                detail=str(error),
            ) from error

    def look(self, repository: Repository) -> Tips:
        try:
            return self.of(repository.name).look(repository)
        except NoGitError:
            raise no_git() from None

    def read(self, name: str, commit: str, action: Callable[[Mirror], T]) -> T:
        """What `action` finds in the mirror `name`, in which `commit` is."""
        check_commit(commit)
        mirror = self.of(name)
        seen = mirror.git.identity()
        try:
            try:
                return action(mirror)
            except GitError as failed:
                repository = self._repositories.get(name)
                if repository is None or not _mends(mirror, commit, failed):
                    raise
                mirror.renew(repository, seen=seen)
                return action(mirror)
        except NoGitError:
            raise no_git() from None
        except GitError as failed:
            raise _failure(mirror, commit, failed) from None
        except OSError as error:
            raise unwritable(commit, error) from error

    def find(self, name: str, commit: str, action: Callable[[Mirror], T]) -> T:
        """As `read`, but a commit that the mirror does not have is fetched first: another replica may have heard of it."""
        try:
            return self.read(name, commit, action)
        except RefMissing:
            repository = self._repositories.get(name)
            if repository is None:
                raise
            self.fetch(repository)
            return self.read(name, commit, action)

    def of(self, name: str) -> Mirror:
        with self._lock:
            mirror = self._mirrors.pop(name, None) or Mirror(
                name,
                self._places,
                self._workshop,
                timeout_s=self._timeout_s,
                clone_timeout_s=self._clone_timeout_s,
                interrupt=self._interrupt,
            )
            self._mirrors[name] = mirror
            too_many = list(self._mirrors.values())[-limits.MIRRORS_AT_HAND - 1 : -limits.MIRRORS_AT_HAND]
        for one in too_many:
            one.objects.close()
        return mirror

    def interrupt(self) -> None:
        """End the gits that run: whoever waits for one is told Stopping."""
        self._interrupt.set()

    def close(self) -> None:
        """End the gits that read. Mirrors stay."""
        for mirror in self._mirrors.values():
            mirror.objects.close()


def check_commit(commit: str) -> None:
    """Raises RefMissing for what is no full id: nothing else is given to git as one."""
    if not _COMMIT.fullmatch(commit):
        raise RefMissing(f"{commit[:60]!r} is no full commit id")


def _mends(mirror: Mirror, commit: str, failed: GitError) -> bool:
    """Whether a new clone is the answer: the mirror is broken, and not just asked for a commit it never had."""
    if failed.timed_out is not None or failed.too_much:
        return False
    return not mirror.sound() or (mirror.has(commit) and looks_broken(failed))


def _failure(mirror: Mirror, commit: str, failed: GitError) -> SourceError:
    if failed.timed_out is not None:
        return CheckoutFailed(f"git {failed.verb} on {mirror.name} was not through after {failed.timed_out:g} s")
    if not mirror.has(commit):
        return RefMissing(
            f"Commit {commit[:12]} is not in {mirror.name}", mend="It may have been rewritten away; push again"
        )
    return CheckoutFailed(f"Commit {commit[:12]} of {mirror.name} cannot be read", detail=words(failed))
