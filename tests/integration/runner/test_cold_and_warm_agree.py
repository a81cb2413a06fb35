"""One matrix of what user code can see and do, run cold and warm: the answers are the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runner.projects import EXAMPLES, project, steps
from tests.peers.runner import ENVIRONMENT as ENVIRONMENT_OF_JOBS
from tests.peers.runner import Ended, Runner

pytestmark = [pytest.mark.runner, pytest.mark.slow]

# Everything that a process can tell of itself.
PROBE = """\
import gc, json, locale, os, random, resource, signal, sys, tempfile, threading, time, warnings

def files():
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink("/proc/self/fd/" + number)
        except OSError:
            pass  # the listing's own
    return sorted(found.values())

def work(context):
    import mlrun, numpy, sibling
    context.log_result("seen", json.dumps({
        "cwd": os.getcwd(),
        "path": sys.path,
        "argv": sys.argv,
        "environment": dict(os.environ),
        "modules of the user": sibling.NAME,
        "main": sys.modules["__main__"].__name__,
        "umask": os.umask(0o77),
        "session": os.getsid(0) == os.getpid(),
        "files": files(),
        "signals": {name: str(signal.getsignal(getattr(signal, name))) for name in
                    ("SIGINT", "SIGTERM", "SIGCHLD", "SIGHUP", "SIGPIPE", "SIGUSR1")},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "wakeup": signal.set_wakeup_fd(-1),
        "gc": gc.isenabled(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "threads": [thread.name for thread in threading.enumerate()],
        "locale": [locale.setlocale(locale.LC_ALL), sys.getfilesystemencoding(), sys.__stdout__.encoding, sys.__stdout__.errors],
        "zone": time.tzname,
        "tempdir": tempfile.gettempdir(),
        "recursion": sys.getrecursionlimit(),
        "warnings": [repr(one[:2]) + one[2].__name__ for one in warnings.filters],
        "bytecode": sys.dont_write_bytecode,
        "hooks": [sys.excepthook.__name__, threading.excepthook.__name__],
        "mlrun": {key: str(getattr(mlrun.mlconf, key)) for key in
                  ("log_level", "artifact_path", "default_project", "dbpath", "kfp_ttl", "namespace", "kfp_image")},
        "logger": [str(mlrun.utils.logger.level), len(mlrun.utils.logger._logger.handlers)],
    }))
    context.log_result("chance", [random.random(), float(numpy.random.random()), sys.flags.hash_randomization])
"""
ENVIRONMENT = {
    "TZ": "America/Sao_Paulo",
    "MINE": "yes \u00e9",
    "MLRUN_LOG_LEVEL": "WARNING",
    "MLRUN_KFP_TTL": "77",
    "MLRUN_KFP_IMAGE": "mine/kfp",
}


def same(ended: Ended, value: Any) -> Any:
    """`value` without what differs between any two jobs: their folder, and the runner's own pid."""
    if isinstance(value, str):
        return re.sub(r"\(pid \d+\)|/job-\d+|:\[\d+\]", "", value.replace(str(ended.folder), "JOB")).replace(
            ended.folder.name, "ID"
        )
    if isinstance(value, dict):
        return {key: same(ended, item) for key, item in value.items()}
    return [same(ended, item) for item in value] if isinstance(value, list) else value


def seen(ended: Ended) -> dict[str, Any]:
    import json

    told = json.loads(ended.results["work-work"]["seen"])
    for name in ("MLRUN_EXEC_CONFIG", "MLRUN_META_TMPFILE"):  # MLRun's own, of this step
        assert told["environment"].pop(name)
    told = {name: same(ended, part) for name, part in told.items()}
    assert isinstance(told, dict)
    return told


def test_a_step_sees_the_same_process(runner: Runner) -> None:
    files = project(work=PROBE, workflow=steps("run()")) | {"sibling.py": "NAME = 'first'\n"}
    loaded = runner.load(files)
    cold = runner.run(loaded, warm=False, environment=ENVIRONMENT)
    warm = runner.run(loaded, environment=ENVIRONMENT)
    assert (cold.events[0]["warm"], warm.events[0]["warm"]) == (False, True)
    mine, other = seen(cold), seen(warm)
    assert mine.keys() == other.keys()
    assert {name: mine[name] for name in mine if mine[name] != other[name]} == {
        name: other[name] for name in mine if mine[name] != other[name]
    }
    assert mine["cwd"] == mine["path"][0] == "JOB/source"
    assert not any(entry.endswith(".pyz") for entry in mine["path"])
    assert {name: mine["environment"][name] for name in ENVIRONMENT} == ENVIRONMENT
    assert mine["mlrun"]["kfp_ttl"] == "77"
    assert mine["mlrun"]["log_level"] == "WARNING"


def test_every_job_has_random_numbers_of_its_own(runner: Runner) -> None:
    files = project(work=PROBE, workflow=steps("run()")) | {"sibling.py": "NAME = 'first'\n"}
    loaded = runner.load(files)
    drawn = [tuple(runner.run(loaded).results["work-work"]["chance"][:2]) for _ in range(4)]
    assert len({one for one, _ in drawn}) == len({two for _, two in drawn}) == 4


def test_two_checkouts_with_modules_of_one_name_do_not_mix(runner: Runner) -> None:
    work = (
        "def work(context):\n    import sibling, yaml\n    context.log_result('name', sibling.NAME + yaml.__name__)\n"
    )
    # A module named like one of MLRun's own is the user's only where the user would get it from `python -m` too.
    for name in ("first", "second"):
        files = project(work=work, workflow=steps("run()")) | {
            "sibling.py": f"NAME = '{name}'\n",
            "queue.py": "raise X\n",
        }
        loaded = runner.load(files)
        assert runner.run(loaded).results == {"work-work": {"name": f"{name}yaml"}}
        assert runner.run(loaded, warm=False).results == {"work-work": {"name": f"{name}yaml"}}


def events(ended: Ended) -> list[dict[str, Any]]:
    passing = ("at", "pid", "uid", "warm")
    return [same(ended, {key: event[key] for key in event if key not in passing}) for event in ended.events]


RAISING = "import lib\ndef work(context):\n    lib.deep()\n"
LIB = "def deep():\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n        raise ValueError('deep') from error\n"
LOGGING = """\
def work(context):
    context.log_artifact("note", body=b"1", local_path="note.txt")
    context.log_result("a", [1, 2])
    context.logger.warning("warned")
    print("said")
"""


@pytest.mark.parametrize(
    "files",
    [
        project(work=LOGGING, workflow=steps("one = run()\nassert one.outputs['note']")),
        project(work=RAISING) | {"lib.py": LIB},
        project(workflow=steps("run().set_retry(1)\nexit(4)")),
    ],
    ids=["artifact", "traceback", "exit"],
)
def test_a_run_tells_the_same(runner: Runner, files: dict[str, str]) -> None:
    loaded = runner.load(files, check=[])
    cold, warm = runner.run(loaded, warm=False), runner.run(loaded)
    assert cold.exit_code == warm.exit_code
    assert events(cold) == events(warm)
    assert log(cold) == log(warm)


def log(ended: Ended) -> str:
    """Without times, ids and the warnings that packages give when they are imported."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+|[0-9a-f]{32}|\.\.[0-9a-f]{6}|0x[0-9a-f]+", "*", ended.log)
    told = same(ended, text)
    assert isinstance(told, str)
    return told


@pytest.mark.parametrize(
    "files",
    [
        EXAMPLES / "quickstart",
        project(setup="def setup(project):\n    project.save()\n    return project\n"),
        project(setup="import gone\n"),
    ],
    ids=["example", "saving", "raising"],
)
def test_a_load_tells_the_same(runner: Runner, files: Path | dict[str, str]) -> None:
    cold, warm = runner.load(files, warm=False), runner.load(files)
    assert cold.exit_code == warm.exit_code
    assert events(cold) == events(warm)
    if cold.exit_code == 0:
        assert cold.result == warm.result


def test_a_runner_that_cannot_begin_is_no_bad_job(runner: Runner) -> None:
    """As where the disk is full: the same job may well begin the next time, and code 2 would say that it never will."""
    codes = {}
    for name, start in {"cold": runner.start_cold, "warm": runner.start_warm}.items():
        folder, source = runner.place(project())
        runner.write(folder, source, {"kind": "load"})
        (folder / "events.jsonl").mkdir()
        codes[name] = start(folder, source, ENVIRONMENT_OF_JOBS)
    assert codes == {"cold": 1, "warm": 1}
