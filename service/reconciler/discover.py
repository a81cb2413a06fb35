"""Which projects a commit of a repository declares."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

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


def declared(
    rooms: Rooms, repository: Repository, *, ref: str, commit: str, default_branch: str | None
) -> tuple[Declared, ...]:
    """The projects that `commit` declares for `ref`. Raises GitopsFileError, ProjectFileError."""
    source = rooms.source
    text = source.read_file(repository.name, commit, GITOPS_FILE)
    declarations = gitops_file.parse(text) if text is not None else (Declaration(),)
    branch = repository.branch or default_branch
    allowed = _policy(rooms.settings)
    for declaration in declarations:
        policy.check(declaration, allowed)
    found = tuple(
        Declared(_name(source, repository, declaration, ref=ref, commit=commit), declaration)
        for declaration in declarations
        if triggers.concerns(declaration, ref, branch)
    )
    doubled = {one.name for one in found if sum(other.name == one.name for other in found) > 1}
    if doubled:
        raise ProjectError(
            f"two projects of {repository.name} are both named {', '.join(sorted(doubled))}",
            mend="give each project.yaml its own metadata.name, or each entry of .gitops.yaml its own name",
        )
    return found


def _policy(settings: Settings) -> policy.Policy:
    said = settings.policy
    return policy.Policy(
        launchers=said.launchers,
        images=said.images,
        node_selectors=said.node_selectors,
        handlers=frozenset(settings.handlers),
    )


def _name(source: Source, repository: Repository, declaration: Declaration, *, ref: str, commit: str) -> str:
    text = _project_file(source, repository.name, commit, declaration.path)
    return project_name.resolve(declaration, text, repository=repository.name, ref=ref)


def _project_file(source: Source, repository: str, commit: str, path: str) -> bytes | None:
    """The file that MLRun would read: the first that matches project.y*ml."""
    entries = source.list_dir(repository, commit, path)
    if entries is None:
        raise ProjectFileError(
            f"{repository} has no folder {path!r} at {commit[:12]}",
            mend="correct `path` in .gitops.yaml or push the folder",
        )
    names = sorted(entry.name for entry in entries if fnmatchcase(entry.name, "project.y*ml"))
    if not names and not any(entry.name == "project_setup.py" for entry in entries):
        raise ProjectFileError(
            f"{repository} has neither project.yaml nor project_setup.py in {path!r} at {commit[:12]}",
            mend="push one of them, or say in .gitops.yaml where the project is",
        )
    return source.read_file(repository, commit, names[0] if path == "." else f"{path}/{names[0]}") if names else None
