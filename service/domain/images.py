"""Which images a workflow runs in: the table of `mlrun_versions`, put into names that mean the same to everybody.

MLRun completes what an image's name leaves open (its tag, its registry) by the version and the Python of whoever asks, in the
client and again in the server, and each release a little differently. So every MLRun image that we write has a registry
and a tag, and nothing is left to complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.domain import image_ref
from service.domain.image_ref import ImageRef
from service.domain.mlrun_versions import DEFAULT, MLRUN, MLRUN_KFP, SUFFIX, SUPPORTED, Row, number, row_of
from service.domain.python_version import Said
from service.errors import ImageError, PlanError

# Where MLRun's images are published.
DOCKER_HUB = "docker.io"
# From 1.10 on MLRun puts the second in the place of the first, whatever the tag.
_ML_BASE, _ML_BASE_ENDED = "mlrun/ml-base", (1, 10, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The images that a project asks for, where it does."""

    workflow: str | None = None  # the workflow's own, in project.yaml
    declared: str | None = None  # runner.image of .gitops.yaml
    default: str | None = None  # the project's default_image


@dataclass(frozen=True, slots=True)
class RunnerImage:
    """`asked_by` is the place that names it; empty where the table does."""

    image: str
    asked_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The operator's MLRun: its version, where its images come from, how the tags of Python 3.9 end.

    `in_process`: runs are processes in the row's environment, and no image is pulled.
    """

    version: str = DEFAULT
    registry: str = DOCKER_HUB
    suffix: str = SUFFIX
    in_process: bool = False

    @property
    def row(self) -> Row:
        return row_of(self.version)

    def python(self, said: Said | None) -> str:
        """The Python of the project's functions. Raises PlanError where MLRun has no image for it."""
        known = tuple(self.row.functions)
        if said is None:
            return known[-1]
        if said.version in known:
            return said.version
        others = [other for other in SUPPORTED if said.version in row_of(other).functions]
        upgrade = f", or the operator sets mlrun.version to {_either(others)}" if others else ""
        raise PlanError(
            f"MLRun {self.version} has no function images for Python {said.version}, which {said.by} asks for",
            mend=f"it has them for {_either(known)}: write python: {known[-1]!r} in .gitops.yaml{upgrade}",
        )

    def runner(self, asked: Asked, workflow: str = "main") -> RunnerImage:
        """The workflow runner's image: a workflow's own first, then `.gitops.yaml`'s, then the table's. Raises PlanError."""
        wishes = [(asked.workflow, "image in project.yaml"), (asked.declared, "runner.image in .gitops.yaml")]
        if self.row.default_image_runs:
            wishes.append((asked.default, "default_image in project.yaml"))
        for text, by in wishes:
            if text:
                return RunnerImage(self._written(text, self.row.python, f"workflow {workflow}: {by}"), by)
        return RunnerImage(self._written(self.row.runner, self.row.python))

    def is_own(self, image: str) -> bool:
        """Whether it is one of MLRun's, from where the operator takes them."""
        return image.startswith((f"{self.registry.rstrip('/')}/{MLRUN}:", f"{self.registry.rstrip('/')}/{MLRUN_KFP}:"))

    def function(self, image: str | None, python: str) -> str:
        """What a function's image is written as; without one, MLRun's own. Raises PlanError."""
        return self._written(image or MLRUN, python, "a function's image")

    def _written(self, text: str, python: str, place: str = "") -> str:
        try:
            return str(self._whole(image_ref.parse(text), python))
        except ImageError as error:
            raise PlanError(f"{place}: {error.what}", mend=error.mend) from error

    def _whole(self, image: ImageRef, python: str) -> ImageRef:
        """An image of MLRun's with nothing left to complete; any other as it is."""
        if not is_mlruns(image):
            return image
        if not image.exact:
            image = image.tagged(self._tag(image, python))
        if _ML_BASE in image.path and (number(image.tag) or (0, 0, 0)) >= _ML_BASE_ENDED:
            image = replace(image, path=image.path.replace(_ML_BASE, MLRUN))
        if not image.registry and image.path.startswith("mlrun/"):
            image = image_ref.parse(f"{self.registry.rstrip('/')}/{image}")
        return image

    def _tag(self, image: ImageRef, python: str) -> str:
        has_suffix = self.row.functions.get(python, False)
        if "mlrun-kfp" in image.path:
            has_suffix = has_suffix and self.row.runner_suffix
        return f"{self.version}{self.suffix if has_suffix else ''}"


def is_mlruns(image: ImageRef) -> bool:
    """By MLRun's own rule: something in a repository called mlrun, wherever that lies. What its server built is not."""
    return image.registry != image_ref.OF_THE_SERVER and "mlrun" in image.path.split("/")[:-1]


def _either(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
