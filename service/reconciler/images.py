"""Images as the operator's settings and the repository's files decide them; the rules are the domain's."""

from __future__ import annotations

from service.domain import image_choice, own_images, python_version
from service.domain.image_build import Additions, ImageBuild
from service.domain.images import DOCKER_HUB, Asked, Images
from service.domain.projects import Declaration, Resolved
from service.domain.python_version import Said
from service.errors import PlanError
from service.reconciler.discover import GITOPS_FILE, Files
from service.reconciler.rooms import MLRUN
from service.settings import Settings
from service.store.syncs import Sync

# The launcher whose jobs are processes of one environment, and no images.
PROCESS = "process"
# The one whose jobs are pods.
KUBERNETES = "kubernetes"


def images_of(settings: Settings, launcher: str) -> Images:
    return Images(
        version=settings.mlrun.version,
        registry=settings.mlrun.images_registry or DOCKER_HUB,
        suffix=settings.mlrun.image_suffix,
        in_process=launcher == PROCESS,
    )


def runner_image(
    settings: Settings,
    launcher: str,
    declaration: Declaration,
    resolved: Resolved,
    workflow: str,
    additions: Additions | None,
) -> str | None:
    """What a run of `workflow` is recorded with; `additions` are of the plan in which it was declared.

    None for what a plan would refuse, which can only be where it was made for another MLRun than the operator has now.
    """
    try:
        base = _base(settings, launcher, declaration, resolved, workflow)
    except PlanError:
        return None
    return base if additions is None or launcher == PROCESS else additions.over(base, resolved.name).image


def image_build(
    settings: Settings,
    launcher: str,
    declaration: Declaration,
    resolved: Resolved,
    workflow: str,
    additions: Additions | None,
) -> ImageBuild | None:
    """What has to be built for such a run; None where nothing has. Raises PlanError."""
    if additions is None or launcher == PROCESS:
        return None
    return additions.over(_base(settings, launcher, declaration, resolved, workflow), resolved.name)


def additions(
    settings: Settings, launcher: str, files: Files, declaration: Declaration, commit: str
) -> Additions | None:
    """What the project adds to its runner's image, which MLRun is to build. Raises PlanError, SourceError."""
    runner = declaration.runner
    if launcher == PROCESS:
        return None
    own_images.check_wishes(
        runner,
        builds=settings.mlrun.api is not None,
        in_mlrun=launcher == MLRUN,
        files_allowed=settings.policy.files_in_images,
    )
    if settings.mlrun.source == "archive":
        own_images.check_archive(str(settings.server.internal_url or settings.server.public_url or ""), runner)
    text = files.read(runner.requirements_file) if runner.requirements_file and not runner.image else None
    return own_images.additions(runner, text, commit)


def _base(settings: Settings, launcher: str, declaration: Declaration, resolved: Resolved, workflow: str) -> str:
    return images_of(settings, launcher).runner(image_choice.asked(declaration, resolved, workflow), workflow).image


def additions_of(sync: Sync | None) -> Additions | None:
    """What the plan of that sync adds to its runner's image."""
    return sync.plan.additions if sync is not None and sync.plan is not None else None


def load_image(settings: Settings, launcher: str, declaration: Declaration) -> str | None:
    """What a project is loaded in, of which nothing is resolved yet; None where jobs have no image. Raises PlanError."""
    images = images_of(settings, launcher)
    return None if images.in_process else images.runner(Asked(declared=declaration.runner.image)).image


def said_python(files: Files, declaration: Declaration) -> Said | None:
    """The Python that the project says it is written for: the nearest file counts, as for pyenv and uv."""
    if declaration.python is not None:
        return Said(declaration.python, GITOPS_FILE)
    parts = [] if declaration.path == "." else declaration.path.split("/")
    for depth in range(len(parts), -1, -1):
        path = "/".join([*parts[:depth], python_version.FILE])
        if (text := files.read(path)) is not None:
            version = python_version.parse(text)
            return Said(version, path) if version else None
    return None
