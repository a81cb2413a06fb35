"""Images as the operator's settings and the repository's files decide them; the rules are the domain's."""

from __future__ import annotations

from service.domain import image_choice, python_version
from service.domain.images import DOCKER_HUB, Asked, Images
from service.domain.projects import Declaration, Resolved
from service.domain.python_version import Said
from service.errors import PlanError
from service.reconciler.discover import GITOPS_FILE, Files
from service.settings import Settings

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
    settings: Settings, launcher: str, declaration: Declaration, resolved: Resolved, workflow: str
) -> str | None:
    """What a run of `workflow` is recorded with.

    None for what a plan would refuse, which can only be where it was made for another MLRun than the operator has now.
    """
    try:
        return images_of(settings, launcher).runner(image_choice.asked(declaration, resolved, workflow), workflow).image
    except PlanError:
        return None


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
