"""A resolved project as the documents that are written into MLRun: the same but for source, images and origin."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.images import Images
from service.domain.projects import Resolved, Workflow
from service.domain.saving import Documents, documents
from service.errors import PlanError

SOURCE = "https://gitops.example.com/archives/fraud.x/0123.tar.gz"
WHOLE = "docker.io/mlrun/mlrun:1.9.2"


def made(
    *definitions: dict[str, Any], functions: dict[str, Any] | None = None, python: str = "3.11", **spec: Any
) -> Documents:
    project = {
        "kind": "project",
        "metadata": {"name": "fraud"},
        "spec": {"source": "git://git.example.com/fraud.git#refs/heads/main", "functions": list(definitions), **spec},
    }
    resolved = Resolved(
        name="fraud",
        project=project,
        functions=functions or {},
        workflows={one["name"]: Workflow(name=one["name"], spec=one) for one in spec.get("workflows", [])},
    )
    return documents(
        resolved, images=Images(), python=python, source=SOURCE, origin="https://git.example.com/fraud.git#0123"
    )


def function(name: str, image: str = "", **build: Any) -> dict[str, Any]:
    return {name: {"kind": "job", "metadata": {"name": name}, "spec": {"image": image, "build": build}}}


def test_the_source_is_ours_wherever_it_stands() -> None:
    before = "git://git.example.com/fraud.git#refs/heads/main"
    found = made(functions={**function("one", source=before), **function("two", source="./")}, owner="ada")
    spec = found.project["spec"]
    assert (spec["source"], spec["origin_url"], found.source) == (SOURCE, SOURCE, SOURCE)
    assert "owner" not in spec
    assert found.functions["one"]["spec"]["build"] == {
        "source": SOURCE,
        "code_origin": "https://git.example.com/fraud.git#0123",
    }
    assert found.functions["two"]["spec"]["build"]["source"] == "./"


def test_every_image_of_mlruns_is_named_whole_and_no_other_is_touched() -> None:
    found = made(
        {"name": "one", "url": "one.py", "image": "mlrun/mlrun"},
        {
            "name": "two",
            "spec": {"kind": "job", "spec": {"image": "mlrun/mlrun", "build": {"base_image": "mlrun/mlrun"}}},
        },
        functions={**function("one", "mlrun/mlrun"), **function("two", "registry.example.com:5000/team/train")},
        default_image="mlrun/mlrun",
        params={"image": "mlrun/mlrun"},
        workflows=[{"name": "main", "image": "mlrun/mlrun-kfp"}, {"name": "bare"}],
    )
    spec = found.project["spec"]
    assert spec["default_image"] == WHOLE
    assert spec["functions"][0]["image"] == WHOLE
    assert spec["functions"][1]["spec"]["spec"] == {"image": WHOLE, "build": {"base_image": WHOLE}}
    assert spec["params"] == {"image": "mlrun/mlrun"}
    assert spec["workflows"] == [{"name": "main", "image": "docker.io/mlrun/mlrun-kfp:1.9.2"}, {"name": "bare"}]
    assert [one["spec"]["image"] for one in found.functions.values()] == [WHOLE, "registry.example.com:5000/team/train"]


@pytest.mark.parametrize("python, image", [("3.11", WHOLE), ("3.9", f"{WHOLE}-py39")])
def test_a_function_whose_image_nobody_names_has_that_of_the_projects_python(python: str, image: str) -> None:
    """Also in the list from which each runner makes it anew."""
    found = made({"name": "My_step", "url": "step.py"}, functions=function("my-step"), python=python)
    assert found.functions["my-step"]["spec"]["image"] == image
    assert found.project["spec"]["functions"] == [{"name": "My_step", "url": "step.py", "image": image}]


def test_the_projects_default_image_stands_in_for_one_that_nobody_names() -> None:
    found = made({"name": "one", "url": "one.py"}, functions=function("one"), default_image="team/own:1")
    assert found.functions["one"]["spec"]["image"] == "team/own:1"


@pytest.mark.parametrize(
    "definition",
    [{"requirements": ["pandas"]}, {"with_repo": True}, {"kind": "nuclio"}, {"requirements_file": "r.txt"}],
)
def test_what_the_server_builds_an_image_for_has_none_before(definition: dict[str, Any]) -> None:
    found = made({"name": "one", "url": "one.py", **definition}, functions=function("one"))
    assert found.functions["one"]["spec"]["image"] == ""
    assert "image" not in found.project["spec"]["functions"][0]


def test_what_is_no_image_is_an_error_of_the_plan() -> None:
    with pytest.raises(PlanError, match="is no image reference"):
        made(functions=function("one", "UPPER CASE"))
