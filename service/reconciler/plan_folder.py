"""What a push of a folder would do: its projects are loaded as a sync loads them and planned as a sync plans them.

No service is needed and nothing is saved. The jobs live in a folder for temporary files; only the runner environment
stays, where every service of this user finds it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.domain import policy, triggers
from service.domain.image_build import Additions
from service.domain.images import Images
from service.domain.plan import Cause, Inputs, Plan, ScheduleSpec, make_plan
from service.domain.project_name import slug
from service.domain.projects import Declaration, Resolved
from service.domain.refs import HEADS, check_ref, short
from service.errors import GitopsError, LoadFailed, ProjectError
from service.launchers import Job, JobKind, Launcher, Life
from service.launchers.process import ProcessLauncher
from service.reconciler.discover import GITOPS_FILE, Declared, concerned, declarations_of, policy_of
from service.reconciler.images import additions, images_of, said_python
from service.reconciler.resolve import Vanished, git_source, resolve
from service.reconciler.rooms import MLRUN
from service.settings import Settings
from service.source import Folder, folder_at, work_tree_of
from service.store import new_id

# How long a job that is over, or was cancelled, may take to be gone.
_GONE_S, _CANCELLED_S = 1.0, 10.0
_GLOB = frozenset("*?[!")
UNCOMMITTED = "uncommitted"


@dataclass(frozen=True, slots=True)
class InForce:
    """What a service has of a project: `url` is where it fetches its repository from."""

    url: str
    resolved: Resolved | None = None
    schedules: tuple[ScheduleSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A project's plan, or why it has none."""

    project: str
    path: str
    plan: Plan | None = None
    error: GitopsError | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A folder seen as a repository whose `ref` was pushed; `notes` say what was assumed."""

    folder: Folder
    repository: str
    ref: str
    projects: tuple[Declared, ...]
    notes: tuple[str, ...]


def subject(path: Path, *, ref: str | None = None, settings: Settings | None = None) -> Subject:
    """Look at the folder without running anything of it. `settings` None: the operator's policy is not known.

    Raises SourceError, ProjectError.
    """
    folder, only = _folder(path)
    declarations = declarations_of(folder)
    if only is not None:
        declarations = tuple(one for one in declarations if one.path == only)
        if not declarations:
            raise ProjectError(
                f"{folder.root / GITOPS_FILE} declares no project in {only}",
                mend="Add it there, or name another folder",
            )
    if settings is not None:
        for declaration in declarations:
            policy.check(declaration, policy_of(settings))
    repository = slug((folder.origin or str(folder.root)).rstrip("/").removesuffix(".git").rpartition("/")[2])
    branch = folder.default_branch or folder.branch or "main"
    chosen, note = _ref(folder, declarations, ref, branch)
    projects = concerned(folder, declarations, repository, ref=chosen, branch=branch)
    return Subject(folder, repository, chosen, projects, tuple(filter(None, (note, _state(folder)))))


def plans(
    subject: Subject,
    settings: Settings,
    *,
    in_force: Callable[[str], InForce | None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Planned]:
    """Load each project and plan it, as a push to a service that has nothing of it, or has what `in_force` says."""
    with _launcher(settings, progress) as launcher:
        for one in subject.projects:
            progress(f"loading {one.name}")
            try:
                added = additions(
                    settings, _launcher_of(settings, one.declaration), subject.folder, one.declaration, _commit(subject)
                )
                known = in_force(one.name)
                resolved = _load(launcher, settings, subject, one, known)
                plan = _plan(subject, settings, one.declaration, resolved, known, added)
                yield Planned(one.name, one.declaration.path, plan)
            except GitopsError as error:
                yield Planned(one.name, one.declaration.path, error=error)


def _folder(path: Path) -> tuple[Folder, str | None]:
    """The folder, or the whole work tree around it whose `.gitops.yaml` declares it; then also its path in there."""
    top = work_tree_of(path)
    if top is None or (path / GITOPS_FILE).exists() or not (top / GITOPS_FILE).exists() or top == path.resolve():
        return folder_at(path), None
    return folder_at(top), path.resolve().relative_to(top).as_posix()


def _ref(folder: Folder, declarations: tuple[Declaration, ...], asked: str | None, branch: str) -> tuple[str, str]:
    """The full ref that counts as pushed, and a remark where it is not the one that is checked out."""
    if asked is not None:
        ref = _full(asked)
        check_ref(ref)
        if not _concerned(declarations, ref, branch):
            raise ProjectError(f"a push to {short(ref)} concerns no project here", mend=_follow(declarations, branch))
        return ref, ""
    here = f"{HEADS}{folder.branch or branch}"
    if _concerned(declarations, here, branch):
        return here, ""
    for ref in map(_full, (branch, *(name for one in declarations for name in one.refs))):
        if not set(ref) & _GLOB and _concerned(declarations, ref, branch):
            return ref, f"a push to {short(here)} concerns no project, so this is the plan of a push to {short(ref)}"
    raise ProjectError(f"a push to {short(here)} concerns no project here", mend=_follow(declarations, branch))


def _concerned(declarations: tuple[Declaration, ...], ref: str, branch: str) -> bool:
    return any(triggers.concerns(one, ref, branch) for one in declarations)


def _full(name: str) -> str:
    if name.startswith("refs/"):
        return name
    return f"refs/{name}" if name.startswith("tags/") else f"{HEADS}{name}"


def _follow(declarations: tuple[Declaration, ...], branch: str) -> str:
    refs = sorted({ref for one in declarations for ref in one.refs or (branch,)})
    return f"name a branch that one follows by --ref; they follow {', '.join(refs)}"


def _state(folder: Folder) -> str:
    if folder.commit is None:
        return "the folder is no Git work tree, so all its files count" if folder.branch is None else "no commit yet"
    return f"the files are those of {folder.commit[:12]} and what is not committed" if folder.changed else ""


@contextmanager
def _launcher(settings: Settings, progress: Callable[[str], None]) -> Iterator[Launcher]:
    with tempfile.TemporaryDirectory(prefix="gitops-plan-", ignore_cleanup_errors=True) as temporary:
        Path(temporary).chmod(0o711)  # jobs may have a user of their own
        options = settings.launcher.model_copy(update={"warm": False, "runs_dir": Path(temporary, "jobs")})
        launcher = ProcessLauncher(
            settings.model_copy(update={"data_dir": Path(temporary, "data"), "launcher": options}), progress=progress
        )
        try:
            launcher.prepare()
            yield launcher
        finally:
            launcher.close()


def _images(settings: Settings, declaration: Declaration) -> Images:
    return images_of(settings, _launcher_of(settings, declaration))


def _launcher_of(settings: Settings, declaration: Declaration) -> str:
    return declaration.runner.launcher or settings.launcher.kind


def _commit(subject: Subject) -> str:
    return subject.folder.commit or UNCOMMITTED


def _load(launcher: Launcher, settings: Settings, subject: Subject, one: Declared, known: InForce | None) -> Resolved:
    job = Job(
        id=f"plan-{new_id()}",
        kind=JobKind.LOAD,
        source=subject.folder.copy,
        payload={
            "project": {
                "path": one.declaration.path,
                "name": one.name,
                "repository_name": subject.repository,
                "source": git_source(known.url if known else subject.folder.origin or "", subject.ref),
            },
            "setup_parameters": one.declaration.setup_parameters,
            "check": None,
        },
        timeout_s=settings.launcher.load_timeout,
        mlrun_version=settings.mlrun.version,
        project=one.name,
        runner=one.declaration.runner,
    )
    try:
        found = resolve(launcher, job)
    except LoadFailed as error:
        raise LoadFailed(error.what, mend="mend it there and plan again", detail=error.detail) from error
    finally:
        _end(launcher, job.id)
    if isinstance(found, Vanished):
        raise LoadFailed(
            f"loading {one.name} was killed before it ended",
            mend="does project_setup.py end its process?",
            detail=found.log,
        )
    return found


def _end(launcher: Launcher, job: str) -> None:
    """Also where somebody pressed Ctrl-C: nothing of the job goes on, and nothing of it stays."""
    if not _gone(launcher, job, _GONE_S):
        launcher.cancel(job)
        _gone(launcher, job, _CANCELLED_S)
    launcher.clean(job)


def _gone(launcher: Launcher, job: str, patience_s: float) -> bool:
    position, deadline = 0, time.monotonic() + patience_s
    while time.monotonic() < deadline:
        [news] = launcher.observe({job: position}, deadline - time.monotonic())
        position = news.position
        if news.life in (Life.GONE, Life.UNKNOWN):
            return True
    return False


def _plan(
    subject: Subject,
    settings: Settings,
    declaration: Declaration,
    resolved: Resolved,
    known: InForce | None,
    added: Additions | None,
) -> Plan:
    images = _images(settings, declaration)
    return make_plan(
        Inputs(
            cause=Cause.PUSH,
            ref=subject.ref,
            commit=_commit(subject),
            declaration=declaration,
            resolved=resolved,
            in_force=known.resolved if known else None,
            schedules=known.schedules if known else (),
            changed_paths=None,
            images=images,
            python=said_python(subject.folder, declaration),
            policy=None if images.in_process else policy_of(settings),
            runs_in_mlrun=_launcher_of(settings, declaration) == MLRUN,
            clock_in_mlrun=settings.schedules.owner == MLRUN,
            additions=added,
        )
    )
