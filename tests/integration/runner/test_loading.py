"""What a project is resolved to."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.integration.runner.projects import EXAMPLES, WORK, WORKFLOW, YAML, project
from tests.peers.runner import Runner

pytestmark = pytest.mark.runner

SETUP = """\
def setup(project):
    project.set_function("work.py", "work", kind="job", image="mlrun/mlrun", handler="work")
    project.set_workflow("main", "workflow.py", engine="kfp", x=4)
    return project
"""


def test_project_yaml_alone_is_enough(runner: Runner) -> None:
    result = runner.load(project()).result
    assert result["name"] == "demo"
    assert result["functions"]["work"]["kind"] == "job"
    assert [(row["name"], row["engine"], row["schedule"]) for row in result["workflows"]] == [("main", "kfp", None)]
    assert result["checks"] == {"main": "compiled"}
    assert result["warnings"] == []


def test_project_setup_alone_is_enough(runner: Runner) -> None:
    loaded = runner.load({"project_setup.py": SETUP, "work.py": WORK, "workflow.py": WORKFLOW})
    assert loaded.result["name"] == "some-repository"
    assert loaded.result["workflows"][0]["args"] == {"x": 4}
    assert loaded.result["functions"]["work"]["spec"]["image"] == "mlrun/mlrun"
    assert runner.run(loaded).results == {"work-work": {"double": 8}}


def test_the_setup_finds_what_project_yaml_said_and_adds_to_it(runner: Runner) -> None:
    setup = """\
    def setup(project):
        assert project.get_param("threshold") == 0.7
        project.spec.params["seen"] = project.spec.params.pop("from_job")
        project.set_function("work.py", "more", handler="work").with_requests(cpu=2)
        return project
    """
    yaml = YAML + "  params: {threshold: 0.7}\n"
    result = runner.load(project(yaml=yaml, setup=setup), setup_parameters={"from_job": 7}).result
    assert result["project"]["spec"]["params"] == {"threshold": 0.7, "seen": 7}
    assert sorted(result["functions"]) == ["more", "work"]
    assert result["functions"]["more"]["spec"]["resources"]["requests"]["cpu"] == 2


def test_functions_are_what_mlrun_would_save(runner: Runner) -> None:
    functions = runner.load(EXAMPLES / "quickstart").result["functions"]
    embedded = functions["train"]["spec"]["build"]
    assert (
        base64.b64decode(embedded["functionSourceCode"]).decode() == (EXAMPLES / "quickstart/src/train.py").read_text()
    )
    assert functions["evaluate"]["spec"]["command"] == "src/evaluate.py"
    assert functions["evaluate"]["spec"]["build"] == {"source": "./"}
    assert {function["metadata"]["project"] for function in functions.values()} == {"quickstart"}


def test_a_function_whose_name_mlrun_rewrites_still_runs(runner: Runner) -> None:
    yaml = YAML.replace("name: work,", "name: hard_work,")
    workflow = WORKFLOW.replace('"work"', '"hard_work"')
    loaded = runner.load(project(yaml=yaml, workflow=workflow))
    assert list(loaded.result["functions"]) == ["hard-work"]
    assert runner.run(loaded).results == {"hard-work-work": {"double": 6}}


def test_the_same_files_give_the_same_result_wherever_they_are(runner: Runner) -> None:
    setup = """\
    import os, mlrun
    here = os.path.dirname(os.path.abspath(__file__))
    def setup(project):
        project.set_function(mlrun.code_to_function("far", filename=os.path.join(here, "work.py"), kind="job"))
        project.set_workflow("far", os.path.join(here, "workflow.py"))
        return project
    """
    files = project(setup=setup)
    first, second = runner.load(files), runner.load(files)
    assert first.source != second.source
    assert first.result == second.result
    assert str(first.source.parent.parent) not in (first.folder / "result.json").read_text()
    assert runner.run(first, "far").results == {"work-work": {"double": 6}}


def test_a_project_in_a_subdirectory_is_loaded_there(runner: Runner) -> None:
    files = {f"ml/fraud/{name}": text for name, text in project().items()} | {"project.yaml": "not: this"}
    loaded = runner.load(files, project={"path": "ml/fraud"})
    assert loaded.result["name"] == "demo"
    assert runner.run(loaded, project={"path": "ml/fraud"}).results == {"work-work": {"double": 6}}


def test_a_name_from_gitops_yaml_counts_where_project_yaml_has_none(runner: Runner) -> None:
    nameless = YAML.replace("{name: demo}", "{labels: {a: b}}")
    assert runner.load(project(yaml=nameless), project={"name": "fraud"}).result["name"] == "fraud"
    assert runner.load(project(), project={"name": "demo"}).result["name"] == "demo"


def test_a_file_called_project_yml_does_too(runner: Runner) -> None:
    files = project()
    files["project.yml"] = files.pop("project.yaml")
    assert runner.load(files).result["name"] == "demo"


def test_dates_become_texts(runner: Runner) -> None:
    yaml = YAML + "  params: {since: 2024-02-29, at: 2024-02-29T10:00:00Z, values: [1, 2.5, null, yes]}\n"
    params = runner.load(project(yaml=yaml)).result["project"]["spec"]["params"]
    assert params == {"since": "2024-02-29", "at": "2024-02-29T10:00:00+00:00", "values": [1, 2.5, None, True]}


def test_numpy_numbers_from_the_setup_become_plain_ones(runner: Runner) -> None:
    setup = """\
    import numpy
    def setup(project):
        project.spec.params.update(a=numpy.float64(0.5), b=numpy.arange(3), c={numpy.int64(2)})
        return project
    """
    params = runner.load(project(setup=setup)).result["project"]["spec"]["params"]
    assert params == {"a": 0.5, "b": [0, 1, 2], "c": [2]}


@pytest.mark.parametrize(
    ("engine", "counts_as"), [("kfp", "kfp"), ("local", "local"), ("remote", "kfp"), ("remote:local", "local")]
)
def test_remote_is_what_this_service_is(runner: Runner, engine: str, counts_as: str) -> None:
    loaded = runner.load(project(yaml=YAML.replace("engine: kfp", f'engine: "{engine}"')))
    assert loaded.result["workflows"][0]["engine"] == counts_as
    assert runner.run(loaded).results == {"work-work": {"double": 6}}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"yaml": YAML.replace("engine: kfp", "ttl: 60")}, "MLRun drops `ttl`; write `cleanup_ttl`"),
        ({"yaml": YAML.replace("engine: kfp", "shedule: '1 2 * * *'")}, "knows no `shedule`"),
        ({"yaml": YAML + "  default_imag: a\n"}, "knows no `default_imag`"),
        (
            {"setup": "def setup(project):\n    project.set_workflow('b', 'workflow.py', ttl=9)\n    return project\n"},
            "line 2",
        ),
        ({"setup": "print('hello')\n"}, "defines no setup(project)"),
        (
            {"setup": "def setup(project):\n    project.set_secrets({'A': 'b'})\n    return project\n"},
            "create_project_secrets",
        ),
    ],
)
def test_what_mlrun_would_lose_without_a_word_is_a_warning(runner: Runner, files: dict[str, str], words: str) -> None:
    loaded = runner.load(project(**files))
    (warning,) = loaded.result["warnings"]
    assert words in warning
    assert [event["text"] for event in loaded.of("warning")] == [warning]


def names(rows: list[Any]) -> list[str]:
    return [row["name"] for row in rows]


def test_what_runs_in_another_image_is_left_to_its_run(runner: Runner) -> None:
    """It may need packages that the image of the load has not."""
    broken = {"other.py": "import nothing_that_is_here\n"}
    yaml = YAML + "    - {name: other, path: other.py, image: 'reg.example.com/other:1'}\n"
    loaded = runner.load({**project(yaml=yaml), **broken}, image="reg.example.com/load:1")
    assert loaded.result["checks"] == {"main": "compiled", "other": "run"}


def test_only_the_workflows_asked_for_are_checked(runner: Runner) -> None:
    yaml = YAML + "    - {name: other, path: workflow.py}\n"
    assert runner.load(project(yaml=yaml), check=["other"]).result["checks"] == {"main": "run", "other": "compiled"}
