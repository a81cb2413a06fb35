"""What a project adds to its runner's image, as the plan decides and says it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain import own_images
from service.domain.image_build import Additions
from service.domain.images import Images
from service.domain.plan import Cause, Inputs, make_plan, render
from service.domain.projects import Declaration, Resolved, RunnerRule, RunRule, Workflow
from service.errors import PlanError

BASE = "docker.io/mlrun/mlrun-kfp:1.9.2"
ADDED = Additions(requirements=("iniconfig==2.0.0", "tabulate"))
WORKFLOWS = {
    "main": Workflow(name="main"),
    "other": Workflow(name="other"),
    "special": Workflow(name="special", image="mlrun/mlrun:1.9.2"),
    "nightly": Workflow(name="nightly", schedule="0 2 * * *"),
    "seldom": Workflow(name="seldom"),
}
INPUTS = Inputs(
    cause=Cause.PUSH,
    ref="refs/heads/main",
    commit="a" * 40,
    declaration=Declaration(run=tuple(RunRule(workflow=name) for name in ("main", "other", "special"))),
    resolved=Resolved(name="fraud", project={}, workflows=WORKFLOWS),
    in_force=None,
    schedules=(),
    changed_paths=None,
    images=Images(version="1.9.2"),
    additions=ADDED,
)


def test_workflows_of_one_base_share_an_image_and_each_run_has_its_own() -> None:
    plan = make_plan(INPUTS)
    shared, special = ADDED.over(BASE, "fraud"), ADDED.over("docker.io/mlrun/mlrun:1.9.2", "fraud")
    assert {run.workflow: run.image for run in plan.runs} == {
        "main": shared.image,
        "other": shared.image,
        "special": special.image,
    }
    assert {one.image: one.workflows for one in plan.images} == {
        shared.image: ("main", "nightly", "other"),
        special.image: ("special",),
    }
    assert plan.additions == ADDED


def test_without_additions_nothing_is_built() -> None:
    plan = make_plan(replace(INPUTS, additions=None))
    assert (plan.images, plan.additions) == ((), None)
    assert plan.runs[0].image == BASE


def test_people_read_what_is_built_over_what() -> None:
    built = ADDED.over(BASE, "fraud")
    lines = render(make_plan(INPUTS))
    assert (
        f"+ image {built.image} over {BASE} with iniconfig==2.0.0, tabulate: MLRun builds it for main, nightly, other"
        in lines
    )
    lines = render(make_plan(replace(INPUTS, built=frozenset({built.key}))))
    assert f"= image {built.image} over {BASE} with iniconfig==2.0.0, tabulate: MLRun has built it" in lines
    many = Additions(requirements=tuple(f"p{number}" for number in range(9)), target_dir="project", commit="a" * 40)
    assert any(
        "p4 and 4 more, the commit's files in project: " in line
        for line in render(make_plan(replace(INPUTS, additions=many)))
    )


def test_files_make_each_commit_an_image() -> None:
    one = Additions(target_dir="project", commit="a" * 40)
    assert one.over(BASE, "fraud").image != replace(one, commit="b" * 40).over(BASE, "fraud").image


def test_a_clock_that_waits_for_no_image_is_refused() -> None:
    with pytest.raises(PlanError, match="MLRun fires the schedule nightly, and does not wait for the image"):
        make_plan(replace(INPUTS, clock_in_mlrun=True))


FILES = RunnerRule(target_dir="project")


@pytest.mark.parametrize(
    ("runner", "allowed", "said"),
    [
        (RunnerRule(requirements_file="r.txt"), {"builds": False}, "asks for packages, and jobs run in an image"),
        (FILES, {"in_mlrun": False}, "MLRun's own runner alone takes from there"),
        (FILES, {"files_allowed": False}, "policy.files_in_images"),
        (replace(FILES, image="a:1"), {}, "runner.image names one"),
    ],
)
def test_what_nobody_can_do_is_refused(runner: RunnerRule, allowed: dict[str, bool], said: str) -> None:
    everything = {"builds": True, "in_mlrun": True, "files_allowed": True}
    own_images.check_wishes(replace(runner, image=None), **everything)
    with pytest.raises(PlanError) as refused:
        own_images.check_wishes(runner, **{**everything, **allowed})
    assert said in str(refused.value)


def test_an_image_that_somebody_names_has_the_packages() -> None:
    runner = RunnerRule(requirements_file="r.txt", image="reg.example.com/mine:1")
    own_images.check_wishes(runner, builds=False, in_mlrun=False, files_allowed=False)
    assert own_images.additions(runner, None, "a" * 40) is None


def test_a_file_without_packages_adds_nothing() -> None:
    assert own_images.additions(RunnerRule(requirements_file="r.txt"), b"# none\n", "a" * 40) is None


def test_files_are_read_over_https_alone() -> None:
    own_images.check_archive("http://gitops", RunnerRule(requirements_file="r.txt"))
    own_images.check_archive("https://gitops", FILES)
    with pytest.raises(PlanError, match="over https alone"):
        own_images.check_archive("http://gitops", FILES)
