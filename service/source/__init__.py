"""Git: one bare mirror a repository, and what the service wants to know of it.

`Source` is the front door. A fetch brings a mirror up to date; everything else reads the mirror and needs no network,
except that a mirror found broken is cloned anew on the spot.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from service import limits
from service.errors import CheckoutFailed, ProjectError, RefMissing, RepositoryUnreachable, SourceError
from service.settings import Repository, Settings
from service.source import archive as _archive
from service.source import checkout as _checkout
from service.source import history as _history
from service.source import tree as _tree
from service.source.archive import Archive, Archives
from service.source.checkout import Checkout, Manifest
from service.source.failures import looks_broken, no_git, unreachable, words
from service.source.folder import Folder, folder_at, work_tree_of
from service.source.git import Git, GitError, NoGitError
from service.source.history import Commit
from service.source.mirror import Mirror, Places
from service.source.spare import Spares
from service.source.tips import Tips
from service.source.tree import Entry, Kind
from service.source.workshop import Workshop

T = TypeVar("T")
_COMMIT = re.compile(r"[0-9a-f]{40}")


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
        self._places = Places(settings.data_dir.resolve() / "mirrors")
        self._places.make()
        self._workshop = Workshop(self._places.work)
        self._spares = Spares(self._workshop.folder)
        self._archives = Archives(settings.data_dir.resolve() / "archives")
        self._timeout_s = timeout_s
        self._clone_timeout_s = clone_timeout_s
        self._repositories = {repository.name: repository for repository in settings.repositories}
        self._looked_at: dict[str, tuple[str, Manifest]] = {}
        self._mirrors: dict[str, Mirror] = {}  # the last one used is the last
        self._lock = threading.Lock()

    def fetch(self, repository: Repository) -> Tips:
        """One incremental fetch of all branches and tags; what is gone there is gone here.

        Raises RepositoryUnreachable (each cause with its own sentence and mend), RepositoryEmpty.
        """
        with self._lock:
            self._repositories[repository.name] = repository
        try:
            return self._mirror(repository.name).fetch(repository)
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
        """What a fetch would find, by asking alone; the mirror stays as it is. Raises as `fetch` does."""
        try:
            return self._mirror(repository.name).look(repository)
        except NoGitError:
            raise no_git() from None

    def read_file(self, repository_name: str, commit: str, path: str) -> bytes | None:
        """A file's content; None where there is none. Raises ProjectError beyond limits.REPOSITORY_FILE_BYTES."""
        return self._read(
            repository_name, commit, lambda mirror: _tree.read_file(mirror.git, mirror.objects, commit, path)
        )

    def list_dir(self, repository_name: str, commit: str, path: str = ".") -> tuple[Entry, ...] | None:
        """What is in a folder; None where there is no such folder."""
        return self._read(repository_name, commit, lambda mirror: _tree.list_dir(mirror.objects, commit, path))

    def tree(self, repository_name: str, commit: str, path: str = ".") -> str:
        """The id of a folder's content, for caches. Raises ProjectError where there is no such folder."""
        found = self._read(repository_name, commit, lambda mirror: _tree.tree(mirror.objects, commit, path))
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
        tree = self.tree(repository_name, commit, path)
        into = into.parent.resolve() / into.name
        if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
            raise CheckoutFailed(f"{into} is not empty", mend="Check out into a folder of its own")
        part = into.with_name(f".{into.name}.part")
        _checkout.discard(part)
        try:
            into.parent.mkdir(parents=True, exist_ok=True)
            self._read(repository_name, commit, lambda mirror: self._materialise(mirror, commit, part, owner))
            part.rename(into)
        except OSError as error:
            raise _unwritable(commit, error) from error
        finally:
            _checkout.discard(part)
        return Checkout(into, commit, tree)

    def archive(self, repository_name: str, commit: str) -> Archive:
        """The files of `commit` as one `.tar.gz` with equal bytes everywhere, open for reading.

        A mirror that does not have the commit is fetched first: another replica may have heard of it. Raises CheckoutFailed, and
        RepositoryUnreachable.
        """
        _check_commit(commit)
        return self._archives.open(commit, lambda file: self._pack(repository_name, commit, file))

    def _pack(self, repository_name: str, commit: str, file: IO[bytes]) -> None:
        try:
            self._read(repository_name, commit, lambda mirror: self._write_archive(mirror, commit, file))
        except RefMissing:
            repository = self._repositories.get(repository_name)
            if repository is None:
                raise
            self.fetch(repository)
            self._read(repository_name, commit, lambda mirror: self._write_archive(mirror, commit, file))

    def _write_archive(self, mirror: Mirror, commit: str, file: IO[bytes]) -> None:
        self._look(mirror, commit)
        _archive.write(mirror.git, mirror.objects, commit, file)

    def changed_paths(self, repository_name: str, base: str | None, commit: str) -> tuple[str, ...] | None:
        """Paths that differ between the trees of `base` and `commit`; a rename counts both names.

        None: unknown (no base, or one that was rewritten away), so everything may have changed. (): nothing did.
        """
        if base is not None:
            _check_commit(base)
        return self._read(
            repository_name, commit, lambda mirror: _history.changed_paths(mirror.git, mirror.objects, base, commit)
        )

    def log(self, repository_name: str, base: str | None, commit: str, limit: int = 100) -> tuple[Commit, ...]:
        """What `commit` has and `base` has not, newest first; without a usable base, its history."""
        if base is not None:
            _check_commit(base)
        return self._read(
            repository_name, commit, lambda mirror: _history.log(mirror.git, mirror.objects, base, commit, limit)
        )

    def contains(self, repository_name: str, ancestor: str, descendant: str) -> bool:
        """Whether `ancestor` is `descendant` or in its history; False for a commit that nobody knows."""
        _check_commit(ancestor)
        return self._read(
            repository_name,
            descendant,
            lambda mirror: _history.contains(mirror.git, mirror.objects, ancestor, descendant),
        )

    def _materialise(self, mirror: Mirror, commit: str, part: Path, owner: int | None) -> None:
        _checkout.discard(part)
        manifest = self._look(mirror, commit)
        if not self._spares.use(mirror.name, mirror.objects, commit, part, owner):
            self._write(mirror, commit, part, manifest)
        _checkout.check_symlinks(commit, part, manifest)
        self._spares.refill(mirror.name, mirror.git, commit, manifest, part, owner)

    def _write(self, mirror: Mirror, commit: str, part: Path, manifest: Manifest) -> None:
        if manifest.files <= limits.SMALL_FILES and manifest.size <= limits.SMALL_BYTES:
            with contextlib.suppress(GitError):  # git itself says what is wrong, if something is
                part.mkdir()
                _checkout.check_space(commit, part, manifest)
                _checkout.write_small(mirror.objects, commit, part)
                return
        _checkout.discard(part)
        part.mkdir()
        _checkout.check_space(commit, part, manifest)
        with tempfile.TemporaryDirectory(dir=self._workshop.folder) as work:
            _checkout.write(mirror.git, commit, part, Path(work) / "index")

    def _look(self, mirror: Mirror, commit: str) -> Manifest:
        """What a checkout would write, checked: by what differs from the last one."""
        base, known = self._looked_at.get(mirror.name, (None, None))
        manifest = None
        if base is not None and known is not None:
            with contextlib.suppress(GitError):  # very much differs, or the mirror is another one by now
                manifest = known if base == commit else _checkout.look_on(mirror.objects, base, known, commit)
        if manifest is None:
            manifest = _checkout.look_through(mirror.git, commit)
        self._looked_at[mirror.name] = commit, manifest
        return manifest

    def close(self) -> None:
        """Give back what this process has on disk for itself. Mirrors stay."""
        for mirror in self._mirrors.values():
            mirror.objects.close()
        self._workshop.close()

    def _mirror(self, name: str) -> Mirror:
        with self._lock:
            mirror = self._mirrors.pop(name, None) or Mirror(
                name,
                self._places,
                self._workshop.folder,
                timeout_s=self._timeout_s,
                clone_timeout_s=self._clone_timeout_s,
            )
            self._mirrors[name] = mirror
            too_many = list(self._mirrors.values())[-limits.MIRRORS_AT_HAND - 1 : -limits.MIRRORS_AT_HAND]
        for one in too_many:
            one.objects.close()
        return mirror

    def _read(self, name: str, commit: str, action: Callable[[Mirror], T]) -> T:
        """Read a mirror; if it turns out to be broken, clone it anew and read once more."""
        _check_commit(commit)
        mirror = self._mirror(name)
        seen = mirror.git.identity()
        try:
            try:
                return action(mirror)
            except GitError as failed:
                repository = self._repositories.get(name)
                if repository is None or not self._mends(mirror, commit, failed):
                    raise
                mirror.renew(repository, seen=seen)
                return action(mirror)
        except NoGitError:
            raise no_git() from None
        except GitError as failed:
            raise self._failure(mirror, commit, failed) from None
        except OSError as error:
            raise _unwritable(commit, error) from error

    @staticmethod
    def _mends(mirror: Mirror, commit: str, failed: GitError) -> bool:
        """Whether a new clone is the answer: the mirror is broken, and not just asked for a commit it never had."""
        if failed.timed_out is not None or failed.too_much:
            return False
        return not mirror.sound() or (mirror.has(commit) and looks_broken(failed))

    @staticmethod
    def _failure(mirror: Mirror, commit: str, failed: GitError) -> SourceError:
        if failed.timed_out is not None:
            return CheckoutFailed(f"git {failed.verb} on {mirror.name} was not through after {failed.timed_out:g} s")
        if not mirror.has(commit):
            return RefMissing(
                f"Commit {commit[:12]} is not in {mirror.name}", mend="It may have been rewritten away; push again"
            )
        return CheckoutFailed(f"Commit {commit[:12]} of {mirror.name} cannot be read", detail=words(failed))


def git_version() -> tuple[int, ...]:
    """Of the git that the service would run. Raises SourceError."""
    with tempfile.TemporaryDirectory(prefix="gitops-") as home:
        try:
            said = Git(Path(home), home=Path(home)).run("version").stdout.decode(errors="replace")
        except NoGitError:
            raise no_git() from None
        except GitError as failed:
            raise SourceError("git does not run", mend="Mend its installation", detail=words(failed)) from None
    found = re.search(r"\d+(\.\d+)+", said)
    return tuple(map(int, found[0].split("."))) if found else (0,)


def _unwritable(commit: str, error: OSError) -> CheckoutFailed:
    return CheckoutFailed(
        f"Commit {commit[:12]} cannot be read or written: {error.strerror}",
        mend="Look at the disk and the permissions of data_dir and of the jobs' folder",
        detail=str(error),
    )


def _check_commit(commit: str) -> None:
    if not _COMMIT.fullmatch(commit):
        raise RefMissing(f"{commit[:60]!r} is no full commit id")


__all__ = [
    "Archive",
    "Checkout",
    "Commit",
    "Entry",
    "Folder",
    "Kind",
    "Source",
    "Tips",
    "folder_at",
    "git_version",
    "work_tree_of",
]
