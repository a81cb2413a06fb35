"""Somebody's own folder as it is now, committed or not: what a push of it would bring, without its `.git`.

In a Git work tree these are the files that Git tracks or would (what is ignored is not pushed), else all there are. The
folder is only ever read.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service import limits
from service.domain.refs import HEADS
from service.errors import CheckoutFailed, ProjectError
from service.source.git import Git, GitError, NoGitError

_SCP = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!//)(\S+)")
_REMOTE_HEAD = "refs/remotes/origin/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """`files` are paths relative to `root`. `commit` and what follows is Git's word, None where it has none."""

    root: Path
    files: tuple[str, ...]
    commit: str | None = None
    changed: bool = False
    branch: str | None = None
    default_branch: str | None = None
    origin: str | None = None

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is none. Raises ProjectError beyond limits.REPOSITORY_FILE_BYTES."""
        place = (self.root / path).resolve()
        if not place.is_relative_to(self.root) or not place.is_file():
            return None
        if place.stat().st_size > limits.REPOSITORY_FILE_BYTES:
            raise ProjectError(
                f"{path} is larger than {limits.REPOSITORY_FILE_BYTES // limits.KIB:,} KiB",
                mend="Keep data out of configuration files",
            )
        return place.read_bytes()

    def names(self, folder: str) -> list[str] | None:
        """What is in a folder; None where there is no such folder."""
        prefix = "" if folder == "." else f"{folder}/"
        found = {path.removeprefix(prefix).partition("/")[0] for path in self.files if path.startswith(prefix)}
        return sorted(found) if found or folder == "." else None

    def copy(self, into: Path) -> None:
        """Write the files to `into`, under the rules that a checkout has. Raises CheckoutFailed."""
        size = 0
        into.mkdir(parents=True, exist_ok=True)
        try:
            for path in self.files:
                size += self._copy(path, into / path)
                if size > limits.CHECKOUT_BYTES:
                    raise self._refused(
                        f"its files are larger than {limits.CHECKOUT_BYTES // limits.MIB:,} MiB together"
                    )
        except OSError as error:
            raise CheckoutFailed(
                f"{error.filename or self.root} cannot be copied: {error.strerror}",
                mend="Look at its permissions and at the space in the folder for temporary files",
            ) from error

    def __str__(self) -> str:
        return str(self.root)

    def _copy(self, path: str, into: Path) -> int:
        """The bytes that were written; nothing for what vanished meanwhile, or is neither file nor link."""
        source = self.root / path
        try:
            status = source.lstat()
        except FileNotFoundError:
            return 0
        into.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(status.st_mode):
            target = source.readlink()
            if target.is_absolute() or not Path(os.path.realpath(source)).is_relative_to(self.root):
                raise self._refused(f"the symlink {path!r} leads out of it")
            into.symlink_to(target)
        elif stat.S_ISREG(status.st_mode):
            shutil.copyfile(source, into)
            into.chmod(0o755 if status.st_mode & stat.S_IXUSR else 0o644)
            return status.st_size
        return 0

    def _refused(self, why: str) -> CheckoutFailed:
        return _refused(self.root, why)


def folder_at(path: Path) -> Folder:
    """The folder `path` and what Git says of it. Raises CheckoutFailed."""
    root = path.resolve()
    if not root.is_dir():
        raise CheckoutFailed(f"{path} is no folder", mend="Name the folder that has project.yaml or .gitops.yaml")
    if (found := _git_dir(root)) is None:
        return Folder(root=root, files=_checked(root, _walk(root)))
    top, git_dir = found
    with tempfile.TemporaryDirectory(prefix="gitops-") as home:
        try:
            return _of_git(root, _Tree(Git(git_dir, home=Path(home)), top, root.relative_to(top).as_posix()))
        except NoGitError:
            return Folder(root=root, files=_checked(root, _walk(root)))
        except GitError as failed:
            raise CheckoutFailed(
                f"git cannot read {top}", mend="See git's own words in the detail", detail=failed.stderr
            ) from None


def work_tree_of(path: Path) -> Path | None:
    """The folder of the Git work tree that `path` is in."""
    found = _git_dir(path.resolve())
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class _Tree:
    """The part `inside` of the work tree at `top`."""

    git: Git
    top: Path
    inside: str

    def ask(self, *arguments: str) -> str:
        """git's first line; nothing where it has no answer."""
        said = self.git.run(*arguments, ok=(0, 1, 128), env={"GIT_WORK_TREE": str(self.top)})
        return said.stdout.decode("utf-8", "surrogateescape").strip() if said.status == 0 else ""

    def files(self) -> Iterator[str]:
        said = self.git.run(
            *("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", self.inside),
            env={"GIT_WORK_TREE": str(self.top)},
        )
        prefix = "" if self.inside == "." else f"{self.inside}/"
        for name in said.stdout.decode("utf-8", "surrogateescape").split("\0"):
            path = self.top / name
            # What was deleted is in the index still; a folder is a submodule or a repository in this one.
            if name and (path.is_symlink() or path.is_file()):
                yield name.removeprefix(prefix)


def _of_git(root: Path, tree: _Tree) -> Folder:
    head, default = tree.ask("symbolic-ref", "-q", "HEAD"), tree.ask("symbolic-ref", "-q", f"{_REMOTE_HEAD}HEAD")
    status = ("status", "--porcelain", "--no-renames", "--untracked-files=normal", "--", tree.inside)
    return Folder(
        root=root,
        files=_checked(root, tree.files()),
        commit=tree.ask("rev-parse", "-q", "--verify", "HEAD") or None,
        changed=bool(tree.ask(*status)),
        branch=head.removeprefix(HEADS) or None,
        default_branch=default.removeprefix(_REMOTE_HEAD) or None,
        origin=_address(tree.ask("config", "--get", "remote.origin.url")),
    )


def _address(url: str) -> str | None:
    """The remote's address as a URL, without what may be a credential; None for a path on this machine."""
    if scp := _SCP.fullmatch(url):
        return f"ssh://{scp[1]}/{scp[2].lstrip('/')}"
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}" if mark and scheme != "file" else None


def _git_dir(root: Path) -> tuple[Path, Path] | None:
    """The work tree that `root` is in, and its Git folder; a linked work tree has a file that names it."""
    for top in (root, *root.parents):
        mark = top / ".git"
        if mark.is_dir():
            return top, mark
        if mark.is_file():
            named = re.match(r"gitdir: (.+)", mark.read_text("utf-8", "surrogateescape")[:4096])
            return (top, (top / named[1].strip()).resolve()) if named else None
    return None


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != ".git")
        linked = [name for name in folders if Path(folder, name).is_symlink()]
        for name in sorted(files) + linked:
            yield Path(folder, name).relative_to(root).as_posix()


def _checked(root: Path, paths: Iterator[str]) -> tuple[str, ...]:
    found: list[str] = []
    for path in paths:
        found.append(path)
        if len(found) > limits.CHECKOUT_FILES:
            raise _refused(root, f"it holds more than {limits.CHECKOUT_FILES:,} files")
        if path.count("/") >= limits.CHECKOUT_DEPTH:
            raise _refused(root, f"{path[:80]!r}… lies more than {limits.CHECKOUT_DEPTH} folders deep")
    return tuple(found)


def _refused(root: Path, why: str) -> CheckoutFailed:
    error = CheckoutFailed(
        f"{root} could not be pushed like this: {why}",
        mend="Take it out, or keep it out of Git by .gitignore; a folder without Git counts whole",
    )
    error.retry = False
    return error
