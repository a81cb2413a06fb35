"""What a load says is written with the service's credential: so it says it of the project that was asked for, or it does not count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.domain import identity
from service.domain.projects import Resolved, Workflow
from service.errors import LoadFailed
from service.launchers import Job, JobKind, Life, Observation
from service.reconciler import load as loading
from service.reconciler.resolve import resolve

Json = dict[str, Any]


def function(name: Any, project: str = "fraud") -> Json:
    return {"kind": "job", "metadata": {"name": name, "project": project}, "spec": {}}


def resolved(**changed: Any) -> Resolved:
    plain = Resolved(name="fraud", project={"metadata": {"name": "fraud"}}, functions={"one": function("one")})
    return replace(plain, **changed)


FORGED = (
    resolved(name="victim"),
    resolved(project={"metadata": {"name": "victim"}}),
    resolved(project={"metadata": {"name": ["fraud"]}}),
    resolved(project={"metadata": ["fraud"]}),
    resolved(project={}),
)


@pytest.mark.parametrize("forged", FORGED)
def test_one_of_another_project_is_refused_with_a_sentence(forged: Resolved) -> None:
    with pytest.raises(LoadFailed) as refused:
        identity.own(forged, "fraud")
    assert "loaded for the project fraud" in refused.value.what
    assert "project_setup.py" in refused.value.mend


def test_each_function_is_this_projects_whatever_it_says() -> None:
    own = identity.own(resolved(functions={"one": function("one", "victim"), "two": {"kind": "job"}}), "fraud")
    assert [one["metadata"] for one in own.functions.values()] == [
        {"name": "one", "project": "fraud"},
        {"name": "two", "project": "fraud"},
    ]


@pytest.mark.parametrize("name", ["../../victim/functions/f", "..", "", "f/g", "-f", "f.", "a\n", "a" * 254, 5, None])
def test_a_function_whose_name_leads_elsewhere_is_refused(name: Any) -> None:
    with pytest.raises(LoadFailed, match="a function of fraud is called"):
        identity.own(resolved(functions={"one": function(name)}), "fraud")


@pytest.mark.parametrize("name", ["../../victim/workflows/w", "..", ".", "", "w\\x", "w\x00", "w\n", "w" * 254])
def test_a_workflow_whose_name_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(LoadFailed, match="a workflow of fraud is called"):
        identity.own(resolved(workflows={name: Workflow(name=name)}), "fraud")


@pytest.mark.parametrize("name", ["main", "Train_Model", "train.v2", "etl 2024", "été", "_private", "a-b_c:d", "..x"])
def test_workflows_are_called_as_mlrun_lets_people_call_them(name: str) -> None:
    assert identity.own(resolved(workflows={name: Workflow(name=name)}), "fraud").workflows.keys() == {name}


@pytest.mark.parametrize("name", ["train", "Train_Model", "my model", "a.b-c", "1st"])
def test_functions_are_called_as_mlrun_lets_people_call_them(name: str) -> None:
    assert identity.own(resolved(functions={name: function(name)}), "fraud").functions.keys() == {name}


class Loads:
    """A launcher whose load has ended with this result."""

    def __init__(self, result: Json) -> None:
        self.said = result

    def ensure(self, job: Job) -> None:
        pass

    def observe(self, positions: dict[str, int], timeout_s: float) -> list[Observation]:
        ended = {"event": "finished", "state": "succeeded"}
        return [Observation(job=job, life=Life.GONE, position=1, events=(ended,)) for job in positions]

    def result(self, job: str) -> Json:
        return self.said


@pytest.mark.parametrize("forged", FORGED)
def test_what_a_load_came_to_is_held_against_the_project_of_its_job(forged: Resolved) -> None:
    said = msgspec.to_builtins(forged) | {"workflows": []}
    launcher: Any = Loads(said)
    job = Job(
        id="load",
        kind=JobKind.LOAD,
        source=lambda into: None,
        payload={},
        timeout_s=1.0,
        mlrun_version="1.9.2",
        project="fraud",
    )
    with pytest.raises(LoadFailed, match="loaded for the project fraud"):
        resolve(launcher, job)


@pytest.mark.parametrize("forged", FORGED)
def test_what_was_kept_of_another_project_was_not_kept(forged: Resolved, tmp_path: Path) -> None:
    kept = tmp_path / "loads" / "key.json"
    loading._keep(kept, resolved())
    assert loading._kept(kept, "fraud") == resolved()
    loading._keep(kept, forged)
    assert loading._kept(kept, "fraud") is None
