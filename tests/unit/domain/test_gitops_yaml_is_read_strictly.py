"""`.gitops.yaml`: the example of the guide is understood, and every mistake is told with its key, its value and its mend."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import gitops_file
from service.domain.projects import (
    CatchUp,
    Concurrency,
    Declaration,
    NotifyRule,
    RunnerRule,
    RunOn,
    RunRule,
    ScheduleRule,
)
from service.errors import GitopsFileError

FULL = """\
version: 1
projects:
  - path: models/fraud
    name: "fraud-{ref}"
    refs: [main, "release/*", tags/v*]
    paths: ["**", "!docs/**", "/shared/**"]
    python: "3.11"
    run:
      - {workflow: main, on: push, arguments: {rows: 50}, concurrency: cancel-running}
      - {workflow: main, on: tag}
    schedules:
      nightly: {workflow: main, cron: "0 2 * * 1-5", timezone: Europe/Berlin, catch_up: none}
    runner:
      {launcher: kubernetes, image: null, requirements_file: requirements.txt, node_selector: {a: b},
       resources: {requests: {cpu: 1}, limits: {memory: 4Gi}},
       env: {A_1: "x"}, volumes: {data: /data/./in}, service_account: sa, timeout: 2h}
    notify: [{to: team-ml, on: [run.failed, schedule.*]}, {to: audit}]
    setup_parameters: {stage: test}
    prune: true
"""


def test_everything_that_can_be_said_is_understood() -> None:
    assert gitops_file.parse(FULL) == (
        Declaration(
            path="models/fraud",
            name="fraud-{ref}",
            refs=("main", "release/*", "tags/v*"),
            paths=("**", "!docs/**", "/shared/**"),
            python="3.11",
            run=(
                RunRule(workflow="main", arguments={"rows": 50}, concurrency=Concurrency.CANCEL_RUNNING),
                RunRule(workflow="main", on=RunOn.TAG),
            ),
            schedules={
                "nightly": ScheduleRule(
                    workflow="main", cron="0 2 * * 1-5", timezone="Europe/Berlin", catch_up=CatchUp.NONE
                )
            },
            runner=RunnerRule(
                launcher="kubernetes",
                requirements_file="requirements.txt",
                node_selector={"a": "b"},
                resources={"requests": {"cpu": "1"}, "limits": {"memory": "4Gi"}},
                env={"A_1": "x"},
                volumes={"data": "/data/in"},
                service_account="sa",
                timeout_s=7200.0,
            ),
            notify=(NotifyRule(to="team-ml", on=("run.failed", "schedule.*")), NotifyRule(to="audit", on=("*",))),
            setup_parameters={"stage": "test"},
            prune_functions=True,
        ),
    )


def test_what_is_not_said_has_its_default() -> None:
    assert gitops_file.parse("version: 1") == (Declaration(),)
    assert gitops_file.parse("version: 1\nprojects:\n  - {}") == (Declaration(),)
    assert gitops_file.parse("version: 1\nprojects: []") == ()
    (one,) = gitops_file.parse("version: 1\nprojects:\n  - {run: [], path: ./a//b/}")
    assert one.run == ()
    assert one.path == "a/b"


@pytest.mark.parametrize(
    ("text", "said", "mend"),
    [
        ("", "is empty", "version: 1"),
        ("projects: []", "version: is missing", "version: 1"),
        ("version: 2", "line 1: version: 2 is not a version", "version: 1"),
        ("version: true", "True is not a version", "version: 1"),
        ("- 1", "is not a mapping", "key: value"),
        ("version: 1\nprojekts: []", "line 2: projekts: is no key", "did you mean projects?"),
        ("version: 1\nprojects: {}", "projects: {} is not a list", "with a dash"),
        ("version: 1\nprojects: [{zebra: 1}]", "projects[0].zebra", "the keys here are path"),
        ("version: 1\nprojects: [{path: ../other}]", "'../other' is no path", "without .."),
        ("version: 1\nprojects: [{path: /etc}]", "'/etc' is no path", "relative"),
        ("version: 1\nprojects: [{path: .git/hooks}]", "is no path", ".git"),
        ("version: 1\nprojects: [{name: Fraud}]", "'Fraud' is no project name", "lower-case"),
        ("version: 1\nprojects: [{name: 'a-{branch}'}]", "is no project name", "{ref} stands for"),
        ("version: 1\nprojects: [{refs: ['release/*']}]", "can match several branches", "{ref}"),
        ("version: 1\nprojects: [{refs: [a, b], name: x}]", "can match several branches", "{ref}"),
        ("version: 1\nprojects: [{refs: [main, tags/v*]}]", "nothing runs on them", "on: tag"),
        ("version: 1\nprojects: [{python: 3.10}]", "3.1 is no Python version", "in quotes"),
        ("version: 1\nprojects: [{python: '2.7'}]", "'2.7' is no Python version", "3.11"),
        ("version: 1\nprojects: [{run: {workflow: a}}]", "is not a list", "dash"),
        ("version: 1\nprojects: [{run: [{on: push}]}]", "projects[0].run[0].workflow: is missing", ""),
        ("version: 1\nprojects: [{run: [{workflow: a, on: pull}]}]", "'pull' is not one of", "push, tag, manual"),
        ("version: 1\nprojects: [{run: [{workflow: a}, {workflow: a}]}]", "has two rules on: push", "keep one"),
        ("version: 1\nprojects: [{run: [{workflow: a, arguments: 3}]}]", "3 is not a mapping", "key: value"),
        ("version: 1\nprojects: [{run: [{workflow: a, concurrency: x}]}]", "'x' is not one", "supersede"),
        ("version: 1\nprojects: [{runner: {resources: {cpu: 1}}}]", "resources.cpu: is no key", "requests, limits"),
        ("version: 1\nprojects: [{runner: {resources: {limits: {cpu: two}}}}]", "'two' is no quantity", "500m"),
        ("version: 1\nprojects: [{runner: {env: {A-B: x}}}]", "'A-B' is no name of an environment", "letters"),
        ("version: 1\nprojects: [{runner: {env: {A: 1}}}]", "runner.env.A: 1 is not a text", "quotes"),
        ("version: 1\nprojects: [{runner: {volumes: {a: data}}}]", "'data' is no place for a volume", "/data"),
        ("version: 1\nprojects: [{runner: {volumes: {a: /x/../gitops}}}]", "is no place for a volume", "/gitops"),
        ("version: 1\nprojects: [{runner: {volumes: {a: //gitops/job}}}]", "is no place for a volume", "/gitops"),
        ("version: 1\nprojects: [{runner: {volumes: {a: //}}}]", "is no place for a volume", "/gitops"),
        ("version: 1\nprojects: [{schedules: {n: {cron: '0 0 * * 8'}}}]", "schedules.n.cron: cron '0 0 * * 8'", "0-7"),
        ("version: 1\nprojects: [{schedules: {n: {cron: '* * * * * *'}}}]", "has 6 fields", "five fields"),
        ("version: 1\nprojects: [{schedules: {n: {cron: 5}}}]", "5 is not a text", "quotes"),
        ("version: 1\nprojects: [{schedules: {n: {}}}]", "schedules.n.cron: is missing", ""),
        ("version: 1\nprojects: [{schedules: {n: {cron: 0 0 * * *, timezone: Mars}}}]", "n.timezone: time zone 'Mars'", "IANA"),
        ("version: 1\nprojects: [{runner: {timeout: 1y}}]", "'1y' is no duration", "2h"),
        ("version: 1\nprojects: [{runner: {timeout: 0}}]", "0 is no duration", "2h"),
        ("version: 1\nprojects: [{runner: {node_selector: {a: 1}}}]", "1 is not a text", "quotes"),
        ("version: 1\nprojects: [{notify: [{to: a, on: run.faild}]}]", "names no event: 'run.faild'", "run.*"),
        ("version: 1\nprojects: [{notify: [{to: 'https://hooks.example.com/x'}]}]", "looks like an address", "handler"),
        ("version: 1\nprojects: [{paths: ['!']}]", "matches nothing", "globs"),
        ("version: 1\nprojects: [{name: a}, {name: a, path: b}]", "is the name of two projects", "its own"),
        ("version: 1\nprojects: [{path: a}, {path: ./a/}]", "two projects have the path 'a'", "different"),
        ("version: 1\nprojects: [{prune: yes}]", "'yes' is neither true nor false", "true or false"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_its_mend(text: str, said: str, mend: str) -> None:
    with pytest.raises(GitopsFileError) as caught:
        gitops_file.parse(text)
    assert caught.value.what.startswith(".gitops.yaml")
    assert said in caught.value.what
    assert mend in caught.value.mend


def test_the_line_is_that_of_the_mistake() -> None:
    broken = FULL.replace("on: tag", "on: tug")
    with pytest.raises(GitopsFileError, match=r"line 10: projects\[0\]\.run\[1\]\.on: 'tug'"):
        gitops_file.parse(broken)


WORDS = [
    "version", "projects", "path", "name", "refs", "paths", "python", "run", "schedules", "runner", "notify", "workflow",
    "on", "arguments", "concurrency", "cron", "timezone", "catch_up", "launcher", "image", "timeout", "to", "prune",
    "requirements_file", "target_dir", "node_selector", "resources", "requests", "limits", "env", "volumes", "service_account",
    "setup_parameters",
]  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8)
    | st.sampled_from(["main", "*", "0 2 * * *", "UTC", "push", "tag", "1", "3.11", "2h", "a-{ref}", "run.*", "../x", "tags/v*"])
)  # fmt: skip
shapes = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)


@settings(max_examples=600, deadline=None)
@given(st.builds(lambda project: {"version": 1, "projects": project}, st.lists(shapes, max_size=3)) | shapes)
def test_any_shape_is_understood_or_a_gitops_file_error(shape: Any) -> None:
    try:
        found = gitops_file.parse(yaml.safe_dump(shape, allow_unicode=True))
    except GitopsFileError as error:
        assert error.what
        return
    assert all(isinstance(one, Declaration) for one in found)


@settings(max_examples=1000, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_a_damaged_file_is_understood_or_a_gitops_file_error(rng: random.Random, blows: int) -> None:
    text = list(FULL)
    for _ in range(blows):
        at = rng.randrange(len(text))
        text[at : at + rng.randrange(4)] = rng.choice(
            ["", "x", ":", "\n", "{", "[", "&a ", "*a", "\t", "é", "'", "!", "\x00", "- "]
        )
    try:
        gitops_file.parse("".join(text))
    except GitopsFileError:
        pass


@settings(max_examples=500, deadline=None)
@given(st.text() | st.binary())
def test_any_bytes_are_understood_or_a_gitops_file_error(data: str | bytes) -> None:
    with pytest.raises(GitopsFileError):
        gitops_file.parse(data)
