"""Images of a project's own: what it adds to its runner's, where that may be built, and what a plan says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from service.domain import requirements
from service.domain.image_build import Additions, ImageBuild
from service.domain.images import RunnerImage
from service.domain.planned import Inputs, PlannedImage, ScheduleSpec
from service.domain.projects import RunnerRule
from service.errors import PlanError

# Packages that a plan's line names; the rest is counted.
_NAMED = 5


def check_wishes(runner: RunnerRule, *, builds: bool, in_mlrun: bool, files_allowed: bool) -> None:
    """Raise PlanError where a runner in a pod asks for what nobody adds to its image.

    `builds`: there is an MLRun API that builds images; `in_mlrun`: MLRun's own runner runs workflows; `files_allowed`: the operator
    lets a repository's files be where images are built.
    """
    if runner.target_dir is not None:
        _check_files(runner, in_mlrun=in_mlrun, files_allowed=files_allowed)
    if runner.requirements_file is None or runner.image is not None or builds:
        return
    raise PlanError(
        f"runner.requirements_file {runner.requirements_file} asks for packages, and jobs run in an image, which "
        "stays as it is",
        mend="build an image that has them and name it as runner.image in .gitops.yaml, or let the operator set mlrun.api, by which "
        "one is built",
    )


def _check_files(runner: RunnerRule, *, in_mlrun: bool, files_allowed: bool) -> None:
    what = f"runner.target_dir {runner.target_dir} asks for an image with the project's files"
    if runner.image is not None:
        raise PlanError(f"{what}, and runner.image names one", mend="leave out one of the two")
    if not in_mlrun:
        raise PlanError(
            f"{what}, which MLRun's own runner alone takes from there",
            mend="remove it, since what runs is the commit anyway; or write launcher: mlrun beside it",
        )
    if not files_allowed:
        raise PlanError(
            f"{what}, and the operator does not let files of repositories be where images are built",
            mend="remove it; or have the operator set policy.files_in_images, whose description says what that allows",
        )


def check_archive(base: str, runner: RunnerRule) -> None:
    """Raise PlanError where MLRun's builder cannot read an archive from this address.

    It is Kaniko, which takes a context from https, and knows no http (kaniko, pkg/buildcontext/buildcontext.go).
    """
    if runner.target_dir is not None and not base.startswith("https://"):
        raise PlanError(
            f"runner.target_dir {runner.target_dir} asks for an image with the project's files, and MLRun's builder takes them over https alone",
            mend="the operator gives server.internal_url an https address, or sets mlrun.source: git",
        )


def additions(runner: RunnerRule, text: bytes | None, commit: str) -> Additions | None:
    """What is added to the image of a runner in a pod, by the content of its requirements file. Raises PlanError."""
    packages: tuple[str, ...] = ()
    if runner.image is not None:
        return None
    if runner.requirements_file is not None:
        if text is None:
            raise PlanError(
                f"the commit has no requirements file {runner.requirements_file}",
                mend="correct runner.requirements_file in .gitops.yaml, or push the file",
            )
        packages = requirements.parse(text, runner.requirements_file)
    if runner.target_dir is not None:
        return Additions(requirements=packages, target_dir=runner.target_dir, commit=commit)
    return Additions(requirements=packages) if packages else None


def builds(inputs: Inputs, chosen: Mapping[str, RunnerImage]) -> dict[str, ImageBuild]:
    """The image of every workflow, over the one that was chosen for it; none where nothing is added."""
    if inputs.additions is None:
        return {}
    project = inputs.resolved.name
    return {workflow: inputs.additions.over(one.image, project) for workflow, one in chosen.items()}


def check(inputs: Inputs, wanted: Mapping[str, ScheduleSpec]) -> None:
    """Raise PlanError where MLRun would fire a schedule without waiting for the image that its run needs."""
    if inputs.additions is not None and inputs.clock_in_mlrun and wanted:
        raise PlanError(
            f"MLRun fires the schedule {min(wanted)}, and does not wait for the image that its run needs (runner.requirements_file, "
            "runner.target_dir)",
            mend="let this service fire: schedules.owner: gitops in the settings; or name an image as runner.image",
        )


def planned(inputs: Inputs, of: Mapping[str, ImageBuild], workflows: Collection[str]) -> tuple[PlannedImage, ...]:
    """The images that these workflows need, each once."""
    needed: dict[str, list[str]] = {}
    for workflow in sorted(workflows & of.keys()):
        needed.setdefault(of[workflow].key, []).append(workflow)
    by_key = {one.key: one for one in of.values()}
    return tuple(
        PlannedImage(
            image=by_key[key].image,
            base_image=by_key[key].base_image,
            workflows=tuple(names),
            requirements=by_key[key].requirements,
            target_dir=by_key[key].target_dir,
            is_there=key in inputs.built,
        )
        for key, names in needed.items()
    )


def told(one: PlannedImage) -> str:
    """In a line for people."""
    parts = [f"image {one.image} over {one.base_image}"]
    if one.requirements:
        more = f" and {len(one.requirements) - _NAMED} more" if len(one.requirements) > _NAMED else ""
        parts.append(f" with {', '.join(one.requirements[:_NAMED])}{more}")
    if one.target_dir is not None:
        parts.append(f", the commit's files in {one.target_dir}")
    when = "MLRun has built it" if one.is_there else f"MLRun builds it for {', '.join(one.workflows)}"
    return f"{''.join(parts)}: {when}"
