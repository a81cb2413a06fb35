"""Which projects a commit of a repository declares, or a folder that is not committed yet."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from service.domain import gitops_file, policy, project_name, triggers
from service.domain.projects import Declaration
from service.errors import ProjectError, ProjectFileError
from service.reconciler.rooms import Rooms
from service.settings import Repository, Settings
from service.source import Source

GITOPS_FILE = ".gitops.yaml"


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration that concerns a ref, with the project's name."""

    name: str
    declaration: Declaration


class Files(Protocol):
    """What is looked into; `str()` says it to people."""

    def read(self, path: str) -> bytes | None:
        """A file's content, None where there is none."""

    def names(self, folder: str) -> list[str] | None:
        """What a folder holds, None where there is none."""


@dataclass(frozen=True, slots=True)
class CommitFiles:
    """The files of a commit, read from the mirror."""

    source: Source
    repository: str
    commit: str

    def read(self, path: str) -> bytes | None:
        return self.source.read_file(self.repository, self.commit, path)

    def names(self, folder: str) -> list[str] | None:
        entries = self.source.list_dir(self.repository, self.commit, folder)
        return None if entries is None else [entry.name for entry in entries]

    def __str__(self) -> str:
        return f"{self.repository} at {self.commit[:12]}"


def declared(
    rooms: Rooms, repository: Repository, *, ref: str, commit: str, default_branch: str | None
) -> tuple[Declared, ...]:
    """The projects that `commit` declares for `ref`. Raises GitopsFileError, ProjectFileError."""
    files = CommitFiles(rooms.source, repository.name, commit)
    declarations = declarations_of(files)
    allowed = policy_of(rooms.settings)
    for declaration in declarations:
        policy.check(declaration, allowed)
    return concerned(files, declarations, repository.name, ref=ref, branch=repository.branch or default_branch)


def declarations_of(files: Files) -> tuple[Declaration, ...]:
    """`.gitops.yaml`, or what a repository without one declares. Raises GitopsFileError."""
    text = files.read(GITOPS_FILE)
    return gitops_file.parse(text) if text is not None else (Declaration(),)


def concerned(
    files: Files, declarations: tuple[Declaration, ...], repository: str, *, ref: str, branch: str | None
) -> tuple[Declared, ...]:
    """Those that `ref` concerns, by name; `branch` is the repository's own. Raises ProjectFileError, ProjectError."""
    found = tuple(
        Declared(_name(files, repository, declaration, ref), declaration)
        for declaration in declarations
        if triggers.concerns(declaration, ref, branch)
    )
    doubled = {one.name for one in found if sum(other.name == one.name for other in found) > 1}
    if doubled:
        raise ProjectError(
            f"two projects of {repository} are both named {', '.join(sorted(doubled))}",
            mend="give each project.yaml its own metadata.name, or each entry of .gitops.yaml its own name",
        )
    return found


def policy_of(settings: Settings) -> policy.Policy:
    said = settings.policy
    return policy.Policy(
        launchers=settings.launchers,
        images=said.images,
        node_selectors=said.node_selectors,
        env=said.env,
        volumes=said.volumes,
        service_accounts=said.service_accounts,
        handlers=frozenset(settings.handlers),
    )


def _name(files: Files, repository: str, declaration: Declaration, ref: str) -> str:
    text = _project_file(files, declaration.path)
    return project_name.resolve(declaration, text, repository=repository, ref=ref)


def _project_file(files: Files, path: str) -> bytes | None:
    """The file that MLRun would read: the first that matches project.y*ml."""
    names = files.names(path)
    if names is None:
        raise ProjectFileError(
            f"{files} has no folder {path!r}", mend="correct `path` in .gitops.yaml or push the folder"
        )
    found = sorted(name for name in names if fnmatchcase(name, "project.y*ml"))
    if not found and "project_setup.py" not in names:
        raise ProjectFileError(
            f"{files} has neither project.yaml nor project_setup.py{'' if path == '.' else f' in {path!r}'}",
            mend="push one of them, or say in .gitops.yaml where the project is",
        )
    return files.read(found[0] if path == "." else f"{path}/{found[0]}") if found else None
