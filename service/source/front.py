"""`Source`: every question that the service has about repositories, and the two ways in which it gets their files."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from service import limits
from service.errors import CheckoutFailed, ProjectError
from service.settings import Repository, Settings
from service.source import files, history, tarball, tree
from service.source.archive import Archive, Archives
from service.source.checkout import Checkout, Checkouts
from service.source.failures import unwritable
from service.source.history import Commit
from service.source.manifest import Manifests
from service.source.mirror import Mirror, Places
from service.source.mirrors import Mirrors, check_commit
from service.source.tips import Tips
from service.source.tree import Entry
from service.source.workshop import Workshop


class Source:
    """Git for the service; thread-safe. Mirrors are `data_dir/mirrors/<repository>.git`.

    Every method may raise SourceError (git is missing or failed in an unforeseen way); those that take a commit raise
    RefMissing where the mirror does not have it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timeout_s: float = limits.GIT_TIMEOUT_S,
        clone_timeout_s: float = limits.GIT_CLONE_TIMEOUT_S,
    ) -> None:
        data = settings.data_dir.resolve()
        places = Places(data / "mirrors")
        places.make()
        self._workshop = Workshop(places.work)
        self._mirrors = Mirrors(
            places,
            self._workshop.folder,
            settings.repositories,
            timeout_s=timeout_s,
            clone_timeout_s=clone_timeout_s,
        )
        self._manifests = Manifests()
        self._checkouts = Checkouts(self._workshop.folder, self._manifests)
        self._archives = Archives(data / "archives")

    def fetch(self, repository: Repository) -> Tips:
        """One incremental fetch of all branches and tags; what is gone there is gone here.

        Raises RepositoryUnreachable (each cause with its own sentence and mend), RepositoryEmpty.
        """
        return self._mirrors.fetch(repository)

    def look(self, repository: Repository) -> Tips:
        """What a fetch would find, by asking alone; the mirror stays as it is. Raises as `fetch` does."""
        return self._mirrors.look(repository)

    def read_file(self, repository_name: str, commit: str, path: str) -> bytes | None:
        """A file's content; None where there is none. Raises ProjectError beyond limits.REPOSITORY_FILE_BYTES."""
        return self._mirrors.find(
            repository_name, commit, lambda mirror: tree.read_file(mirror.git, mirror.objects, commit, path)
        )

    def list_dir(self, repository_name: str, commit: str, path: str = ".") -> tuple[Entry, ...] | None:
        """What is in a folder; None where there is no such folder."""
        return self._mirrors.find(repository_name, commit, lambda mirror: tree.list_dir(mirror.objects, commit, path))

    def tree(self, repository_name: str, commit: str, path: str = ".") -> str:
        """The id of a folder's content, for caches. Raises ProjectError where there is no such folder."""
        found = self._mirrors.find(repository_name, commit, lambda mirror: tree.tree(mirror.objects, commit, path))
        if found is None:
            raise ProjectError(
                f"Commit {commit[:12]} of {repository_name} has no folder {path!r}",
                mend="Correct `path` in .gitops.yaml or push the folder",
            )
        return found

    def checkout(
        self, repository_name: str, commit: str, into: Path, path: str = ".", *, owner: int | None = None
    ) -> Checkout:
        """The files of `commit` at `into` (which must not exist, or be empty), without a `.git`.

        `path` is the project's folder; the whole repository is written, for projects import from beside them.
        Nothing is at `into` until everything is. `owner` is the uid that they are for: `into` is that user's where the
        files are already, and ours where they are ours still. Raises CheckoutFailed, ProjectError.
        """
        content = self.tree(repository_name, commit, path)
        into = into.parent.resolve() / into.name
        if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
            raise CheckoutFailed(f"{into} is not empty", mend="Check out into a folder of its own")
        part = into.with_name(f".{into.name}.part")
        files.discard(part)
        try:
            into.parent.mkdir(parents=True, exist_ok=True)
            self._mirrors.find(
                repository_name, commit, lambda mirror: self._checkouts.write(mirror, commit, part, owner)
            )
            part.rename(into)
        except OSError as error:
            raise unwritable(commit, error) from error
        finally:
            files.discard(part)
        return Checkout(into, commit, content)

    def archive(self, repository_name: str, commit: str) -> Archive:
        """The files of `commit` as one `.tar.gz` with equal bytes everywhere, open for reading.

        A mirror that does not have the commit is fetched first: another replica may have heard of it. Raises CheckoutFailed, and
        RepositoryUnreachable.
        """
        check_commit(commit)

        def make(file: IO[bytes]) -> None:
            self._mirrors.find(repository_name, commit, lambda mirror: self._pack(mirror, commit, file))

        return self._archives.open(commit, make)

    def changed_paths(self, repository_name: str, base: str | None, commit: str) -> tuple[str, ...] | None:
        """Paths that differ between the trees of `base` and `commit`; a rename counts both names.

        None: unknown (no base, or one that was rewritten away), so everything may have changed. (): nothing did.
        """
        if base is not None:
            check_commit(base)
        return self._mirrors.find(
            repository_name, commit, lambda mirror: history.changed_paths(mirror.git, mirror.objects, base, commit)
        )

    def log(self, repository_name: str, base: str | None, commit: str, limit: int = 100) -> tuple[Commit, ...]:
        """What `commit` has and `base` has not, newest first; without a usable base, its history."""
        if base is not None:
            check_commit(base)
        return self._mirrors.read(
            repository_name, commit, lambda mirror: history.log(mirror.git, mirror.objects, base, commit, limit)
        )

    def contains(self, repository_name: str, ancestor: str, descendant: str) -> bool:
        """Whether `ancestor` is `descendant` or in its history; False for a commit that nobody knows."""
        check_commit(ancestor)
        return self._mirrors.read(
            repository_name,
            descendant,
            lambda mirror: history.contains(mirror.git, mirror.objects, ancestor, descendant),
        )

    def _pack(self, mirror: Mirror, commit: str, file: IO[bytes]) -> None:
        self._manifests.of(mirror, commit)  # so that what no checkout holds is in no archive either
        tarball.write(mirror.git, mirror.objects, commit, file)

    def interrupt(self) -> None:
        """The service is stopping: Stopping is raised where a git that works on a mirror runs or would start. Those that read have short answers."""
        self._mirrors.interrupt()

    def close(self) -> None:
        """Give back what this process has on disk for itself. Mirrors stay."""
        self._mirrors.close()
        self._workshop.close()
