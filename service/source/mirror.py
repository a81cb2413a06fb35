"""One bare mirror a repository: fetched incrementally, under a lock, and able to heal itself.

The lock is a `flock` on a file beside the mirror whose descriptor every writing git inherits. So as long as any of
them lives, also one that a killed service left behind, nobody else writes; and whoever has the lock may remove stale
`*.lock` files, for nobody can be at work behind them. A mirror holds nothing that can't be fetched again: one that is
broken (a torn pack, an empty object after a power cut) is cloned anew beside and swapped. The lock file is empty
unless somebody is at work, or was when it went wrong: then the next one clears up first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from service import limits
from service.domain.refs import HEADS, TAGS, short
from service.errors import RepositoryEmpty, RepositoryUnreachable, SourceError, Stopping
from service.settings import Repository
from service.source import tips
from service.source.address import Address, parse_address
from service.source.credentials import access
from service.source.failures import complains, looks_broken, not_a_repository, redact, unreachable
from service.source.git import Git, GitError, Output
from service.source.objects import Objects
from service.source.pump import Interrupt
from service.source.tips import Tips

_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "+HEA*:refs/gitops/HEA*")
# No attribute of a repository changes what a checkout writes; info/attributes wins over every .gitattributes.
_ATTRIBUTES = "* -text -eol -crlf -filter -ident -working-tree-encoding\n"
_LOCK_POLL_S = 0.05
# git finds the file of one that was killed in its way.
_LEFT = re.compile(r"(\.lock'|packed-refs\.new): File exists")
_AT_WORK = b"at work\n"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders under `data_dir/mirrors`. Names of repositories never begin with a dot, so ours do."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / ".home"

    @property
    def known_hosts(self) -> Path:
        return self.root / ".known_hosts"

    @property
    def work(self) -> Path:
        return self.root / ".work"

    def mirror(self, name: str) -> Path:
        return self.root / f"{name}.git"

    def lock(self, name: str) -> Path:
        return self.root / ".locks" / name

    def stage(self, name: str) -> Path:
        return self.root / ".stage" / f"{name}.git"

    def make(self) -> None:
        for folder in (
            self.root,
            self.home,
            self.work,
            *(self.root / n for n in (".locks", ".stage")),
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


class Mirror:
    """The mirror of the repository `name`; thread-safe."""

    def __init__(
        self,
        name: str,
        places: Places,
        workshop: Path,
        *,
        timeout_s: float,
        clone_timeout_s: float,
        interrupt: Interrupt,
    ) -> None:
        self.name = name
        self.places = places
        self._workshop = workshop
        self.git = Git(places.mirror(name), home=places.home, timeout_s=timeout_s, interrupt=interrupt)
        self.objects = Objects(self.git)
        self._clone_timeout_s = clone_timeout_s
        self._thread_lock = threading.Lock()

    def fetch(self, repository: Repository) -> Tips:
        """Bring branches and tags up to date. Raises RepositoryUnreachable, RepositoryEmpty."""
        address = parse_address(self.name, repository.url)
        with self._locked() as lock:
            refs = self._update(repository, address, lock) if self.git.git_dir.is_dir() else None
            if refs is None:
                self._clone(repository, address, lock)
                refs = tips.read_refs(self.git)
            default = self._default_branch(repository, address, refs, lock)
            refs.pop(tips.REMOTE_HEAD, None)
            if not refs:
                raise self._empty(repository, address, lock)
            self._tidy(lock)
        return Tips(default, refs)

    def look(self, repository: Repository) -> Tips:
        """What the remote has now. Raises RepositoryUnreachable, RepositoryEmpty."""
        address = parse_address(self.name, repository.url)
        arguments = ("ls-remote", "--symref", "--end-of-options", address.url)
        try:
            said = self._ask(self.git, repository, address, None, *arguments).stdout.decode("utf-8", "surrogateescape")
        except GitError as failed:
            raise unreachable(self.name, failed) from None
        lines = [line.partition("\t") for line in said.splitlines()]
        heads = [target.removeprefix("ref: ") for target, _, name in lines if name == "HEAD" and " " in target]
        refs = {name: target for target, _, name in lines if name.startswith((HEADS, TAGS)) and "^" not in name}
        if not refs:
            raise self._empty(repository, address, None)
        return Tips(short(heads[0]) if heads else None, refs)

    def renew(self, repository: Repository, *, seen: tuple[int, int] | None) -> None:
        """Replace a broken (or missing) mirror by a new clone, unless somebody did since it was `seen` (`git.identity`).

        Raises RepositoryUnreachable; the old one stays then.
        """
        address = parse_address(self.name, repository.url)
        with self._locked() as lock:
            if self.git.identity() == seen:
                self._clone(repository, address, lock)

    def has(self, commit: str) -> bool:
        """Whether the commit can be read from the mirror."""
        try:
            output = self.git.run("cat-file", "--batch-check=%(objecttype)", stdin=f"{commit}^{{commit}}\n".encode())
        except GitError:
            return False
        return output.stdout == b"commit\n"

    def sound(self) -> bool:
        """Whether every ref's commit can be read: cheap, and what a torn pack or an empty object fails."""
        try:
            tips.read_refs(self.git)
        except GitError:
            return False
        return True

    def _update(self, repository: Repository, address: Address, lock: int) -> dict[str, str] | None:
        """Its refs after a fetch; None when it turned out to be broken."""
        try:
            said = self._fetch_into(self.git, repository, address, lock).stderr
        except GitError as failed:
            if failed.timed_out is not None or (self.sound() and not looks_broken(failed)):
                raise unreachable(self.name, failed) from None
            return None
        if complains(said):
            return None
        try:
            return tips.read_fetched(self.git, self.objects)
        except GitError:
            return None

    def _clone(self, repository: Repository, address: Address, lock: int) -> None:
        """A new mirror, made beside and put in place when it is whole."""
        stage = self.places.stage(self.name)
        old = stage.with_suffix(".old")
        for leftover in (stage, old):
            shutil.rmtree(leftover, ignore_errors=True)
        git = Git(stage, home=self.places.home, timeout_s=self._clone_timeout_s, interrupt=self.git.interrupt)
        try:
            git.run("init", "--bare", "--quiet", "--template=", guarded=True, fds=(lock,))
            (stage / "HEAD").write_text("ref: refs/gitops/unknown\n", encoding="ascii")
            (stage / "info").mkdir(exist_ok=True)
            (stage / "info" / "attributes").write_text(_ATTRIBUTES, encoding="ascii")
            self._fetch_into(git, repository, address, lock)
            git.run("pack-refs", "--all", guarded=True, fds=(lock,))
        except Stopping:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        except GitError as failed:
            shutil.rmtree(stage, ignore_errors=True)
            raise unreachable(self.name, failed) from None
        if self.git.git_dir.exists():
            self.git.git_dir.rename(old)
        stage.rename(self.git.git_dir)
        shutil.rmtree(old, ignore_errors=True)

    def _fetch_into(self, git: Git, repository: Repository, address: Address, lock: int) -> Output:
        arguments = (
            "fetch", "--prune", "--force", "--no-tags", "--write-fetch-head", "--no-auto-maintenance",
            "--no-recurse-submodules", "--no-progress", "--end-of-options", address.url, *_REFSPECS,
        )  # fmt: skip
        try:
            return self._ask(git, repository, address, lock, *arguments)
        except GitError as failed:
            # A ref moved between the server's list and its pack, or a lock file lies there, behind which nobody can be.
            if _LEFT.search(failed.stderr):
                _remove_leftovers(git.git_dir)
            elif "not our ref" not in failed.stderr:
                raise
            return self._ask(git, repository, address, lock, *arguments)

    def _default_branch(self, repository: Repository, address: Address, refs: dict[str, str], lock: int) -> str | None:
        default, certain = tips.settled_default(self.git, refs)
        if certain:
            return default
        try:
            output = self._ask(
                self.git, repository, address, lock, "ls-remote", "--symref", "--end-of-options", address.url, "HEAD"
            )
        except GitError as failed:
            raise unreachable(self.name, failed) from None
        for line in output.stdout.decode("utf-8", "surrogateescape").splitlines():
            target, _, name = line.partition("\t")
            if name == "HEAD" and target.startswith("ref: refs/heads/"):
                ref = target.removeprefix("ref: ")
                tips.remember_default(self.git, ref)
                return short(ref)
        return None

    def _empty(self, repository: Repository, address: Address, lock: int | None) -> SourceError:
        """No refs: an empty repository, if it was a Git server that said so.

        To git a web page that answers 200 (a login, a proxy's "back soon") can look like an old file server's list of
        no refs. A real server speaks in packets, which git traces on request.
        """
        arguments = ("ls-remote", "--end-of-options", address.url)
        try:
            said = self._ask(self.git, repository, address, lock, *arguments, env={"GIT_TRACE_PACKET": "1"}).stderr
        except GitError as failed:
            return unreachable(self.name, failed)
        if "packet:" not in said:
            return not_a_repository(self.name)
        return RepositoryEmpty(f"Repository {self.name} is empty: it has neither branches nor tags", mend="Push to it")

    def _ask(
        self,
        git: Git,
        repository: Repository,
        address: Address,
        lock: int | None,
        *arguments: str,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> Output:
        """Run a git that speaks to the remote. What it says is redacted before anybody sees it."""
        with access(repository, address, known_hosts=self.places.known_hosts, keys=self._workshop) as given:
            try:
                return git.run(
                    *arguments,
                    config=given.config,
                    env={**given.env, **env},
                    scheme=address.scheme,
                    fds=given.fds if lock is None else (lock, *given.fds),
                    guarded=True,
                )
            except GitError as failed:
                failed.stderr = redact(failed.stderr, given.secrets)
                raise

    def _tidy(self, lock: int) -> None:
        """Few packs and few loose objects keep every later git fast. Nothing is ever dropped: a revision in force may
        be of a commit that was rewritten away. Failing is no harm; the next fetch tries again."""
        objects = self.git.git_dir / "objects"
        packs = len(list(objects.glob("pack/*.pack")))
        loose = 256 * len(list(objects.glob("17/*")))  # as git's own gc --auto estimates
        with contextlib.suppress(GitError):
            if packs > limits.MIRROR_PACKS or loose > limits.MIRROR_LOOSE_OBJECTS:
                self.git.run("repack", "-d", "-l", "-q", "--geometric=2", guarded=True, fds=(lock,))
                self.git.run("pack-refs", "--all", guarded=True, fds=(lock,))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """The only writer to this mirror, among threads and processes. Yields the lock's descriptor."""
        deadline = time.monotonic() + self._clone_timeout_s
        if not self._thread_lock.acquire(timeout=self._clone_timeout_s):
            raise self._busy()
        try:
            descriptor = os.open(self.places.lock(self.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                while not _flock(descriptor):
                    self.git.interrupt.check(f"the mirror of {self.name} is in use")
                    if time.monotonic() > deadline:
                        raise self._busy()
                    time.sleep(_LOCK_POLL_S)
                if os.pread(descriptor, 1, 0):
                    _remove_leftovers(self.git.git_dir)
                os.pwrite(descriptor, _AT_WORK, 0)
                yield descriptor
                os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)
        finally:
            self._thread_lock.release()

    def _busy(self) -> RepositoryUnreachable:
        return RepositoryUnreachable(
            f"The mirror of {self.name} has been in use for {self._clone_timeout_s:g} s",
            mend="Another process is fetching it; see who holds its file in mirrors/.locks",
        )


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_leftovers(git_dir: Path) -> None:
    """What a killed git leaves: lock files and unfinished packs. Only for the holder of the lock."""
    patterns = (
        "*.lock",
        "packed-refs.new",
        "refs/**/*.lock",
        "objects/pack/tmp_*",
        "objects/*/tmp_obj_*",
        "objects/info/*.lock",
    )
    for pattern in patterns:
        for path in git_dir.glob(pattern):
            path.unlink(missing_ok=True)
    for pattern in ("objects/incoming-*", "objects/tmp_objdir-*"):
        for path in git_dir.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)
