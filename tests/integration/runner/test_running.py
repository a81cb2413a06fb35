"""How a workflow runs, and what is told of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.runner.projects import EXAMPLES, YAML, project, steps
from tests.peers.runner import Ended, Runner

pytestmark = pytest.mark.runner

LOCAL = YAML.replace("engine: kfp", "engine: local")


def ran(runner: Runner, body: str, work: str = "", *, engine: str = "local", **job: object) -> Ended:
    """Run the workflow `body`, whose steps are handlers in `work`."""
    files = project(workflow=steps(body), yaml=YAML.replace("engine: kfp", f"engine: {engine}"))
    if work:
        files["work.py"] = work
    return runner.run(runner.load(files, check=[]), **job)  # type: ignore[arg-type]


def test_the_quickstart_example_runs(runner: Runner) -> None:
    loaded = runner.load(EXAMPLES / "quickstart")
    assert loaded.result["checks"] == {"main": "compiled", "nightly": "compiled"}
    run = runner.run(loaded)
    assert run.results["generate-generate"] == {"rows": 200}
    assert run.results["evaluate-evaluate"]["accepted"] is True
    assert [event["event"] for event in run.events] == [
        *("claimed", "started"),
        *("step.started", "artifact", "step.finished"),
        *("step.started", "artifact", "step.finished"),
        *("step.started", "step.finished"),
        "finished",
    ]
    assert "the line explains" in run.log


def test_arguments_win_over_the_workflows_args(runner: Runner) -> None:
    yaml = YAML.replace("engine: kfp", "engine: kfp, args: {x: 5}")
    loaded = runner.load(project(yaml=yaml))
    assert runner.run(loaded).results == {"work-work": {"double": 10}}
    assert runner.run(loaded, arguments={"x": 8}).results == {"work-work": {"double": 16}}


def test_required_arguments_are_required_and_unknown_ones_are_accepted(runner: Runner) -> None:
    schema = "args_schema: [{name: x, required: true}, {name: y, default: 1}]"
    workflow = steps("run(params={'x': x + kept['z']})").replace("(x: int = 3)", "(x: int = 3, y: int = 0, **kept)")
    yaml = LOCAL.replace("engine: local", f"engine: local, {schema}")
    loaded = runner.load(project(yaml=yaml, workflow=workflow))
    assert "argument(s) x are required" in runner.run(loaded).error["message"]
    assert runner.run(loaded, arguments={"x": 1, "z": 4}).results == {"work-work": {"double": 10}}


def test_after_takes_any_number_of_steps(runner: Runner) -> None:
    body = """
first, second = run(params={"x": 1}), run(params={"x": 2})
run(params={"x": first.outputs["double"] + second.outputs["double"]}).after(first, second).after(first)
"""
    results = ran(runner, body, engine="kfp").results
    assert results == {"work-work": {"double": 2}, "work-work-2": {"double": 4}, "work-work-3": {"double": 12}}


def test_settings_of_pods_are_passed_over_with_a_warning(runner: Runner) -> None:
    body = """
step = run()
step.add_node_selector_constraint("a", "b").set_retry(3).apply(lambda op: op).after(step)
"""
    run = ran(runner, body, engine="kfp")
    assert run.results == {"work-work": {"double": 2}}
    assert [event["text"].split("()")[0] for event in run.of("warning")] == [
        *("work-work: .add_node_selector_constraint", "work-work: .set_retry", "work-work: .apply")
    ]


@pytest.mark.parametrize("construct", ["dsl.Condition(x > 1)", "dsl.ParallelFor([1, 2])", "dsl.ExitHandler(run())"])
def test_what_exists_only_inside_of_kubeflow_says_so(runner: Runner, construct: str) -> None:
    error = ran(runner, f"with {construct}:\n    run()", engine="kfp").error
    assert "exist only inside of Kubeflow" in error["message"]
    assert 'File "workflow.py"' in error["traceback"]


def test_a_failed_step_fails_a_kfp_workflow_that_caught_it(runner: Runner) -> None:
    body = """
try:
    run(params={"x": "no number"})
except Exception:  # as a workflow that wants to go on whatever happens
    pass
run()
"""
    error = ran(runner, body, engine="kfp").error
    assert (error["type"], error["step"]) == ("ValueError", "work-work")


def test_a_local_workflow_may_catch_a_failed_step(runner: Runner) -> None:
    body = """
try:
    run(params={"x": "no number"})
except Exception:  # whatever it was, the second try has another number
    run(params={"x": 5})
"""
    run = ran(runner, body)
    assert run.results == {"work-work-2": {"double": 10}}
    assert run.of("step.finished")[0]["state"] == "failed"
    (warning,) = run.of("warning")
    assert "step work-work failed, and the workflow went on" in warning["text"]


def test_results_before_a_failure_are_told(runner: Runner) -> None:
    run = ran(runner, "run()\nraise ValueError('enough')")
    assert (run.error["type"], run.error["message"]) == ("ValueError", "enough")
    assert "step" not in run.error
    assert run.finished["results"] == {"work-work": {"double": 2}}


def test_a_step_without_a_handler_runs_as_a_program(runner: Runner) -> None:
    work = """\
    import mlrun
    context = mlrun.get_or_create_ctx("work")
    print("a program of its own", flush=True)
    context.log_result("triple", 3 * int(context.get_param("x")))
    context.log_artifact("note", body=b"hello", local_path="note.txt")
    """
    body = "step = run(handler='', params={'x': 4})\nassert step.outputs['triple'] == 12, step.outputs"
    yaml = LOCAL.replace(", handler: work}", "}")
    run = runner.run(runner.load(project(work=work, workflow=steps(body), yaml=yaml)))
    assert run.results == {"work": {"triple": 12}}
    assert "a program of its own" in run.log
    (warning,) = run.of("warning")
    assert "its artifacts (note) cannot be handed on" in warning["text"]


def test_a_program_that_fails_fails_its_step(runner: Runner) -> None:
    yaml = LOCAL.replace(", handler: work}", "}")
    files = project(work="raise SystemExit('no luck')\n", workflow=steps("run(handler='')"), yaml=yaml)
    error = runner.run(runner.load(files)).error
    assert error["step"] == "work"
    assert "no luck" in error["message"]


def test_tried_out_parameters_are_one_step(runner: Runner) -> None:
    body = "step = run(hyperparams={'x': [1, 5, 3]}, selector='max.double')\nassert step.outputs['double'] == 10"
    run = ran(runner, body)
    assert run.results == {"work-work": {"best_iteration": 2, "double": 10}}
    assert len(run.of("step.started")) == len(run.of("step.finished")) == 1


def test_results_that_json_has_no_form_for_become_texts(runner: Runner) -> None:
    work = """\
    import datetime, numpy
    def work(context):
        context.log_result("nan", float("nan"))
        context.log_result("huge", numpy.float64("inf"))
        context.log_result("count", numpy.int32(3))
        context.log_result("flag", numpy.bool_(True))
        context.log_result("grid", numpy.zeros((2, 2)))
        context.log_result("at", datetime.date(2024, 2, 29))
    """
    results = ran(runner, "run()", work).results
    assert results["work-work"] == {
        "nan": "nan",
        "huge": "inf",
        "count": 3,
        "flag": "True",
        "grid": [[0.0, 0.0], [0.0, 0.0]],
        "at": "2024-02-29",
    }


def test_the_projects_own_artifact_path_is_respected(runner: Runner, tmp_path: Path) -> None:
    work = "def work(context):\n    context.log_artifact('a', body=b'x', local_path='a.txt')\n"
    for path, place in ((tmp_path / "shared", tmp_path / "shared"), (Path("artifacts-here"), None)):
        yaml = LOCAL + f"  artifact_path: {path}\n"
        run = runner.run(runner.load(project(work=work, workflow=steps("run()"), yaml=yaml)))
        (artifact,) = run.of("artifact")
        assert Path(artifact["path"]).is_relative_to(place or run.folder / "artifacts")
        assert Path(artifact["path"]).read_bytes() == b"x"


def test_a_workflow_may_ask_for_its_own_project(runner: Runner) -> None:
    body = """
project = mlrun.get_or_create_project("demo", context="./")
assert project.get_param("threshold") == 0.7
project.run_function("work", params={"x": 6})
mlrun.run_function("work", params={"x": 7})
"""
    files = project(workflow=steps(body), yaml=LOCAL + "  params: {threshold: 0.7}\n")
    assert runner.run(runner.load(files)).results == {"work-work": {"double": 12}, "work-work-2": {"double": 14}}


@pytest.mark.parametrize("where", ["work", "workflow"])
@pytest.mark.parametrize("how", ["exit()", "sys.exit(0)", "sys.exit('bye')"])
def test_code_that_calls_exit_fails_with_its_own_words(runner: Runner, where: str, how: str) -> None:
    code = f"import sys; {how}"
    body, work = ("run()", f"def work():\n    {code}\n") if where == "work" else (f"run()\n{code}", "")
    error = ran(runner, body, work).error
    assert error["type"] == "SystemExit"
    assert "called sys.exit(" in error["message"]
    assert f'File "{where}.py"' in error["traceback"]


def test_a_process_that_ends_itself_leaves_no_finished(runner: Runner) -> None:
    run = ran(runner, "run()", "import os\ndef work():\n    os._exit(0)\n")
    assert run.exit_code == 0
    assert run.of("finished") == []
    assert run.events[-1]["event"] == "step.started"


def test_a_killed_process_leaves_no_finished(runner: Runner) -> None:
    run = ran(runner, "run()", "import os, signal\ndef work():\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    assert run.exit_code == -signal.SIGKILL
    assert run.of("finished") == []


def test_a_forked_child_that_comes_back_doubles_nothing(runner: Runner) -> None:
    work = """\
    import os
    def work(context, x=1):
        with open("lines", "a") as lines:
            lines.write("line\\n")
        context.log_result("double", 2 * int(x))
    def fork(context):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
    """
    run = ran(runner, "run('fork')\nrun()", work)
    assert run.results == {"work-work": {"double": 2}}
    assert (run.source / "lines").read_text() == "line\n"
    assert len(run.of("step.started")) == 2
    assert len(run.of("finished")) == 1


def test_a_child_that_stays_holds_neither_claim_nor_events(runner: Runner) -> None:
    work = """\
    import os, time
    def work():
        if os.fork() == 0:
            os.close(1); os.close(2)
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            open("child", "w").write(str(os.getpid()))
            time.sleep(600)
        while not os.path.exists("child"):
            time.sleep(0.01)
    """
    run = ran(runner, "run()", work)
    child = int((run.source / "child").read_text())
    try:
        assert run.exit_code == 0
        opened = {str(entry.readlink()) for entry in Path(f"/proc/{child}/fd").iterdir()}
        assert str(run.folder / "alive") not in opened
    finally:
        os.killpg(child, signal.SIGKILL)


def test_threads_that_stay_do_not_hold_the_process(runner: Runner) -> None:
    work = "import threading, time\ndef work():\n    threading.Thread(target=time.sleep, args=[600]).start()\n"
    assert ran(runner, "run()", work).results == {}


def test_exit_handlers_of_the_users_code_are_run(runner: Runner) -> None:
    work = "import atexit\ndef work():\n    atexit.register(print, 'good', 'bye')\n"
    assert "good bye" in ran(runner, "run()", work).log


def test_a_lot_of_output_arrives_whole(runner: Runner) -> None:
    work = "def work():\n    for n in range(20000):\n        print(n, 'x' * 1000)\n"
    run = ran(runner, "run()", work)
    assert run.exit_code == 0
    assert run.log.count("x" * 1000) == 20000


def test_output_that_is_not_text_does_no_harm(runner: Runner) -> None:
    work = "import sys\ndef work():\n    sys.stdout.write('\\udcff\\u20ac\\n')\n    sys.stdout.flush()\n    open(1, 'wb', closefd=False).write(b'\\xff\\xfe')\n"
    assert "\\udcff€" in ran(runner, "run()", work).log


def test_a_second_process_for_a_job_does_nothing(runner: Runner) -> None:
    first = runner.load(project())
    before = first.events
    for start in (runner.start_cold, runner.start_warm):
        assert start(first.folder, first.source, first.environment) == 0
    assert first.events == before


def test_a_huge_error_is_cut_and_still_told(runner: Runner) -> None:
    run = ran(runner, "run()", "def work():\n    raise ValueError('a' * 2_000_000)\n")
    assert "characters left out" in run.error["message"]
    assert all(len(line) <= 256 * 1024 for line in (run.folder / "events.jsonl").read_bytes().splitlines())
