"""A project that cannot be loaded gets one clear error at the right place."""

from __future__ import annotations

import pytest

from tests.integration.runner.projects import WORK, YAML, project, steps
from tests.peers.runner import Runner

pytestmark = pytest.mark.runner

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 9)
)
TWO_FUNCTIONS = YAML.replace("  workflows:", "    - {name: work, url: other.py}\n  workflows:")


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("", "project.yaml is empty"),
        ("# nothing but a remark\n", "project.yaml is empty"),
        ("- a\n- b\n", "project.yaml holds a list, not a mapping"),
        ("hello", "project.yaml holds a text, not a mapping"),
        ("metadata: [", "project.yaml is not YAML"),
        ("metadata: demo", "metadata is a text, not a mapping"),
        ("metadata: {name: Demo_1}", "'Demo_1' is not a project name"),
        ("metadata: {name: 7}", "7 is not a project name"),
        ("metadata: {name: demo}\nspec: []", "spec is a list, not a mapping"),
        ("metadata: {name: demo}\nspec: {functions: {a: b}}", "spec.functions is a mapping, not a list"),
        ("metadata: {name: demo}\nspec: {functions: [a.py]}", "spec.functions[0] is a text, not a mapping"),
        ("metadata: {name: demo}\nspec: {functions: [{url: a.py}]}", "spec.functions[0] has no name"),
        ("metadata: {name: demo}\nspec: {functions: [{name: a, url: [1]}]}", "spec.functions[0].url must be a text"),
        ("metadata: {name: demo}\nspec: {workflows: [{name: a}]}", "workflow a has neither path nor code"),
        ("metadata: {name: demo}\nspec: {workflows: [{name: a, path: b, args: [1]}]}", "args is a list, not a mapping"),
        ("metadata: {name: demo}\nspec: {params: [1]}", "spec.params is a list, not a mapping"),
        ("metadata: {name: demo}\nspec: {params: {x: .nan}}", "project.spec.params.x is nan"),
        ("metadata: {name: demo}\nspec: {params: {x: !!binary aGk=}}", "params.x is a bytes"),
        ("metadata: {name: demo}\nmetadata: {name: other}", "line 2: the key 'metadata' is there twice"),
        (TWO_FUNCTIONS, "there are two spec.functions named work"),
        (YAML + "    - {name: main, path: workflow.py}\n", "there are two spec.workflows named main"),
        (BOMB, "too large with its aliases written out"),
        ("a: &a [*a]\n", "*a refers to itself"),
        ("[" * 60 + "]" * 60, "too large with its aliases written out"),
        ("x: !!python/object/apply:os.system ['touch pwned']", "is not allowed"),
        ("x: !!python/name:os.system ''", "is not allowed"),
        ("x: " + "y" * 1024 * 1024, "larger than 1048576 bytes"),
        (YAML.replace("url: work.py", "url: gone.py"), "function work: there is no file 'gone.py'"),
        (
            YAML.replace("handler: work}", "handler: work, with_repo: true, image: x}").replace("work.py", "gone.py"),
            "'gone.py'",
        ),
        (YAML.replace("workflow.py", "gone.py"), "workflow main: there is no file 'gone.py'"),
        (YAML.replace("engine: kfp", "engine: argo"), "workflow main: there is no engine 'argo'"),
        (YAML.replace("engine: kfp", "schedule: 0 2 * * * *"), "has 6 fields instead of five"),
        (YAML.replace("engine: kfp", "schedule: {hour: 2}"), "workflow main: schedule is a dict"),
    ],
)
def test_a_bad_project_yaml_says_what_is_wrong_with_it(runner: Runner, yaml: str, words: str) -> None:
    loaded = runner.load(project(yaml=yaml))
    assert words in loaded.error["message"]
    assert "site-packages" not in loaded.error["traceback"]
    assert not (loaded.folder / "result.json").exists()
    assert not (loaded.source / "pwned").exists()


def test_no_project_at_all_says_where_to_put_one(runner: Runner) -> None:
    assert "there is no project.yaml and no project_setup.py here" in runner.load({"README.md": "hi"}).error["message"]


def test_two_project_files_are_one_too_many(runner: Runner) -> None:
    assert "project.yaml and project.yml" in runner.load(project() | {"project.yml": YAML}).error["message"]


def test_a_project_file_that_is_not_utf8_says_so(runner: Runner) -> None:
    _, source = runner.place(project())
    (source / "project.yaml").write_bytes(b"metadata: {name: d\xe9mo}")
    assert "not UTF-8" in runner.load(source).error["message"]


def test_a_project_file_may_not_be_a_link_out_of_the_repository(runner: Runner) -> None:
    _, source = runner.place(project())
    (source / "project.yaml").unlink()
    (source / "project.yaml").symlink_to("/etc/hostname")
    assert "link that leads out of the repository" in runner.load(source).error["message"]


@pytest.mark.parametrize(
    ("path", "words"), [("gone", "there is no directory 'gone'"), ("../..", "leads out of the repository")]
)
def test_the_projects_path_must_be_a_directory_of_the_repository(runner: Runner, path: str, words: str) -> None:
    assert words in runner.load(project(), project={"path": path}).error["message"]


def test_two_names_for_one_project_are_a_mismatch(runner: Runner) -> None:
    message = runner.load(project(), project={"name": "fraud"}).error["message"]
    assert message == (
        "project.yaml calls the project 'demo', .gitops.yaml calls it 'fraud'. Remove the name from one of them"
    )
    setup = "def setup(project):\n    project.metadata.name = 'other'\n    return project\n"
    nameless = YAML.replace("{name: demo}", "{}")
    error = runner.load(project(yaml=nameless, setup=setup), project={"name": "fraud"}).error
    assert "project_setup.py calls the project 'other'" in error["message"]


@pytest.mark.parametrize(
    ("setup", "kind", "message", "last_frame"),
    [
        ("def setup(project):\n    return {}['x']\n", "KeyError", "'x'", "line 2, in setup"),
        ("import gone\n", "ModuleNotFoundError", "No module named 'gone'", "line 1, in <module>"),
        ("def setup(project):\n    return = 1\n", "SyntaxError", "invalid syntax (project_setup.py, line 2)", "line 2"),
        (
            "def setup(project):\n    pass\n",
            "ValueError",
            "MLRun project_setup:setup() must return a project object",
            "",
        ),
        ("import sys\nsys.exit(3)\n", "SystemExit", "the code called sys.exit(3)", "line 2, in <module>"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt", "KeyboardInterrupt", "line 1, in <module>"),
        (
            "def setup(project):\n    return setup(project)\n",
            "RecursionError",
            "maximum recursion depth",
            "line 2, in setup",
        ),
        ("def setup(project):\n    open('data.csv')\n", "FileNotFoundError", "No such file", "line 2, in setup"),
        ("class E(Exception):\n    __str__ = None\nraise E\n", "workflow.E", "E", "line 3"),
    ],
)
def test_a_setup_that_raises_shows_its_own_traceback(
    runner: Runner, setup: str, kind: str, message: str, last_frame: str
) -> None:
    error = runner.load(project(setup=setup)).error
    assert error["type"] == kind
    assert message in error["message"]
    assert f'File "project_setup.py", {last_frame}' in error["traceback"] or not last_frame
    assert "site-packages" not in error["traceback"]
    assert "runner" not in error["traceback"]


def test_a_traceback_follows_the_users_modules_and_causes(runner: Runner) -> None:
    files = project(
        setup="from lib.helpers import parse\n\ndef setup(project):\n    parse('x')\n    return project\n",
    ) | {
        "lib/helpers.py": """\
        import json
        def parse(text):
            try:
                json.loads(text)
            except ValueError as error:
                raise RuntimeError("bad settings") from error
        """
    }
    traceback = runner.load(files).error["traceback"]
    assert traceback == (
        "Traceback (most recent call last):\n"
        '  File "lib/helpers.py", line 4, in parse\n'
        "    json.loads(text)\n"
        "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)\n"
        "\nThe above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n"
        '  File "project_setup.py", line 4, in setup\n'
        "    parse('x')\n"
        '  File "lib/helpers.py", line 6, in parse\n'
        '    raise RuntimeError("bad settings") from error\n'
        "RuntimeError: bad settings\n"
    )


def test_a_schedule_object_is_refused_with_what_to_write(runner: Runner) -> None:
    setup = """\
    from mlrun.common.schemas import ScheduleCronTrigger
    def setup(project):
        project.set_workflow("nightly", "workflow.py", schedule=ScheduleCronTrigger(hour=2))
        return project
    """
    message = runner.load(project(setup=setup)).error["message"]
    assert message.startswith(
        "workflow nightly: schedule is a ScheduleCronTrigger. Write a crontab text of five fields"
    )


@pytest.mark.parametrize(
    ("workflow", "words"),
    [
        ("import gone\n", "workflow main: No module named 'gone'"),
        ("def other():\n    pass\n", "workflow main: 'workflow_handler' is not defined"),
        (steps("run(params={'x': y})"), "workflow main: name 'y' is not defined"),
        (steps("mlrun.get_current_project().run_function('gone')"), "workflow main: there is no function demo/gone"),
        (steps("exit(1)"), "workflow main: the code called sys.exit(1)"),
    ],
)
def test_a_workflow_that_does_not_compile_fails_the_load_and_is_named(
    runner: Runner, workflow: str, words: str
) -> None:
    error = runner.load(project(workflow=workflow)).error
    assert words in error["message"]
    assert error["workflow"] == "main"


@pytest.mark.parametrize("engine", ["kfp", "local"])
def test_arguments_that_a_workflow_does_not_take_fail_the_load(runner: Runner, engine: str) -> None:
    yaml = YAML.replace("engine: kfp", f"engine: {engine}, args: {{rows: 1}}")
    message = runner.load(project(yaml=yaml)).error["message"]
    assert message.startswith("workflow main: got an unexpected keyword argument 'rows'")


def test_checking_runs_no_step_and_calls_no_local_workflow(runner: Runner) -> None:
    trace = "open('ran', 'a').write('x')\n"
    work = WORK + "    " + trace
    yaml = YAML + "    - {name: loc, path: local.py, engine: local}\n    - {name: free, path: workflow.py}\n"
    files = project(work=work, yaml=yaml) | {"local.py": f"def pipeline(x=1):\n    {trace}"}
    loaded = runner.load(files)
    assert loaded.result["checks"] == {"main": "compiled", "free": "compiled", "loc": "bound"}
    assert not (loaded.source / "ran").exists()
