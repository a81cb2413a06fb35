from __future__ import annotations

from typing import Any

import pytest

from service.domain.image_choice import runner_of
from service.domain.images import Images
from service.domain.plan import Cause, Inputs, Plan, make_plan
from service.domain.policy import Policy
from service.domain.projects import Declaration, Resolved, RunnerRule, Workflow
from service.errors import PlanError

POLICY = Policy(images=("reg.example.com/ml/*",), node_selectors=("pool=cpu*",))
SELECTOR = "workflow_runner_node_selector"


def plan(workflow: dict[str, Any], *, policy: Policy | None = POLICY, version: str = "1.9.2", **spec: Any) -> Plan:
    workflows = {"main": Workflow(name="main", image=workflow.get("image"), spec={"name": "main", **workflow})}
    resolved = Resolved(name="fraud", project={"spec": spec}, workflows=workflows)
    return make_plan(
        Inputs(
            cause=Cause.PUSH,
            ref="refs/heads/main",
            commit="a" * 40,
            declaration=Declaration(),
            resolved=resolved,
            in_force=None,
            schedules=(),
            changed_paths=None,
            images=Images(version=version),
            policy=policy,
        )
    )


@pytest.mark.parametrize(
    "image", [None, "mlrun/mlrun-kfp", "mlrun/mlrun-kfp:1.9.2", "mlrun/mlrun", "reg.example.com/ml/x:1"]
)
def test_mlruns_own_images_and_those_of_the_policy_may_be_named(image: str | None) -> None:
    [run] = plan({"image": image}).runs
    assert run.image is not None


@pytest.mark.parametrize("image", ["evil.example.com/x:1", "evil.example.com/mlrun/mlrun-kfp:1.9.2", "mlrun/other:1"])
def test_another_image_in_project_yaml_is_refused_with_what_is_allowed(image: str) -> None:
    with pytest.raises(
        PlanError, match=r"workflow main: image in project\.yaml, .*reg\.example\.com/ml/\*.*policy\.images"
    ):
        plan({"image": image})


def test_a_default_image_counts_where_mlrun_runs_workflows_in_it() -> None:
    assert plan({}, default_image="evil.example.com/x:1").runs
    with pytest.raises(PlanError, match="default_image"):
        plan({}, version="1.8.0", default_image="evil.example.com/x:1")


def test_a_workflows_own_node_selector_is_held_against_the_policy() -> None:
    assert plan({SELECTOR: {"pool": "cpu-large"}}).runs
    with pytest.raises(PlanError, match=f"workflow main: {SELECTOR} pool=gpu is not allowed"):
        plan({SELECTOR: {"pool": "gpu"}})


def test_processes_are_not_asked() -> None:
    assert plan({"image": "evil.example.com/x:1", SELECTOR: {"pool": "gpu"}}, policy=None).runs


def test_a_workflows_own_wish_stands_over_its_projects() -> None:
    declared = Declaration(runner=RunnerRule(node_selector={"pool": "cpu", "zone": "a"}, image="x"))
    workflow = Workflow(name="main", spec={SELECTOR: {"pool": "gpu", "size": 3}})
    runner = runner_of(declared, workflow)
    assert runner.node_selector == {"pool": "gpu", "zone": "a", "size": "3"}
    assert runner.image == "x"
