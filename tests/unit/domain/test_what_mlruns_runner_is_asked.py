"""What MLRun is asked to run, and what the plan refuses because MLRun's runner cannot do it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.domain import mlrun_requests, mlrun_scheduled
from service.domain.images import Images
from service.domain.mlrun_requests import Asked
from service.domain.projects import Declaration, Resolved, RunnerRule, Workflow
from service.errors import PlanError

_SPEC: dict[str, Any] = {
    "name": "main",
    "path": "workflow.py",
    "args": {"rows": 50},
    "args_schema": [{"name": "model", "default": "tree"}, {"name": "day", "required": True}],
    "cleanup_ttl": 60,
}
_MAIN = Workflow(name="main", engine="remote:local", args={"rows": 50}, spec=_SPEC)
_SOURCE = "git://git.example.com/ml/fraud.git#refs/heads/main"


def test_arguments_are_merged_as_mlruns_client_does() -> None:
    request = mlrun_requests.request(
        Asked(workflow=_MAIN, source=_SOURCE, image="i:1", arguments={"day": 3, "rows": 0})
    )
    assert request["arguments"] == request["spec"]["args"] == {"rows": 0, "model": "tree", "day": 3}
    assert (request["spec"]["engine"], request["spec"]["ttl"], request["run_name"]) == (
        "local",
        60,
        "workflow-runner-main",
    )


@pytest.mark.parametrize(
    ("engine", "asked"), [("kfp", "kfp"), ("remote", "kfp"), ("remote:kfp", "kfp"), ("local", "local")]
)
def test_a_runner_knows_two_engines(engine: str, asked: str) -> None:
    assert mlrun_requests.engine_of(replace(_MAIN, engine=engine)) == asked


def test_mlrun_sends_the_notifications_of_the_project_but_those_of_whoever_sits_before_it() -> None:
    slack = {"kind": "slack", "name": "team", "when": ["error"]}
    project = {"spec": {"notifications": [slack, {"kind": "console", "name": "here"}, {"kind": "ipython"}, "odd"]}}
    assert mlrun_requests.notifications_of(project) == [slack]
    asked = Asked(workflow=_MAIN, source=_SOURCE, arguments={"day": 3}, notifications=[slack])
    assert mlrun_requests.request(asked)["notifications"] == [slack]
    assert "notifications" not in mlrun_requests.request(replace(asked, notifications=[]))


@pytest.mark.parametrize("project", [{}, {"spec": None}, {"spec": {"notifications": "no list"}}])
def test_a_project_without_notifications_has_none(project: dict[str, Any]) -> None:
    assert mlrun_requests.notifications_of(project) == []


def test_a_git_source_names_the_run_where_mlrun_does_not_look() -> None:
    assert mlrun_requests.marked(_SOURCE, "01run") == (
        "git://git.example.com/ml/fraud.git?gitops-run=01run#refs/heads/main"
    )


def test_an_argument_that_is_missing_is_named() -> None:
    with pytest.raises(PlanError, match="wants the arguments day"):
        mlrun_requests.check(Declaration(), {"main": _MAIN}, [("main", {})], tag=False)


@pytest.mark.parametrize(
    ("runner", "key"),
    [
        (RunnerRule(resources={"limits": {"cpu": "1"}}), "resources"),
        (RunnerRule(env={"A": "b"}), "env"),
        (RunnerRule(volumes={"data": "/data"}), "volumes"),
        (RunnerRule(service_account="runner"), "service_account"),
    ],
)
def test_what_is_for_pods_of_ours_is_refused(runner: RunnerRule, key: str) -> None:
    with pytest.raises(PlanError, match=rf"runner\.{key} .* MLRun makes its runner's pod itself"):
        mlrun_requests.check(Declaration(runner=runner), {}, [], tag=False)


def test_runs_of_tags_are_refused_and_a_tag_without_runs_is_not() -> None:
    mlrun_requests.check(Declaration(), {"main": _MAIN}, [], tag=True)
    with pytest.raises(PlanError, match="takes the one that is saved"):
        mlrun_requests.check(Declaration(), {"main": _MAIN}, [("main", {"day": 1})], tag=True)


@pytest.mark.parametrize("names", [("a_b", "a-b"), ("Train", "train"), ("a b", "a-b")])
def test_two_workflows_that_mlrun_runs_by_one_function_are_refused(names: tuple[str, str]) -> None:
    workflows = {name: Workflow(name=name) for name in ("main", *names)}
    with pytest.raises(PlanError, match="by one function, workflow-runner-") as refused:
        mlrun_requests.check(Declaration(), workflows, [], tag=False)
    assert all(name in refused.value.what for name in names)
    with pytest.raises(PlanError, match="by one function"):
        mlrun_scheduled.requests(
            Declaration(), Resolved(name="fraud", project={}, workflows=workflows), Images(), _SOURCE
        )


def test_workflows_whose_runners_differ_are_not() -> None:
    mlrun_requests.check(Declaration(), {name: Workflow(name=name) for name in ("a", "a_b", "a.b")}, [], tag=False)
