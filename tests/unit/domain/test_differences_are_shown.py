"""What differs between two revisions: symmetrical, complete, and without anybody's secret."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.diff import diff, looks_secret, masked
from service.domain.plan import Action, Change
from service.domain.projects import Resolved, Workflow, revision_id
from tests.unit.domain.resolved_projects import resolved

OTHER_WAY = {Action.CREATE: Action.REMOVE, Action.REMOVE: Action.CREATE, Action.CHANGE: Action.CHANGE}


def project(**spec: Any) -> Resolved:
    return Resolved(name="fraud", project={"spec": spec})


def _sorted(changes: tuple[Change, ...]) -> list[Change]:
    return sorted(changes, key=lambda change: change.path)


@settings(max_examples=100, deadline=None)
@given(st.none() | resolved, st.none() | resolved)
def test_the_other_way_round_it_is_the_other_way_round(one: Resolved | None, two: Resolved | None) -> None:
    turned = tuple(
        Change(path=change.path, action=OTHER_WAY[change.action], before=change.after, after=change.before)
        for change in diff(two, one)
    )
    assert _sorted(turned) == _sorted(diff(one, two))


@settings(max_examples=100, deadline=None)
@given(resolved, resolved)
def test_there_is_a_difference_exactly_when_the_revisions_differ(one: Resolved, two: Resolved) -> None:
    assert bool(diff(one, two)) == (revision_id(one) != revision_id(two))
    assert diff(one, one) == ()


@settings(max_examples=100, deadline=None)
@given(resolved, resolved)
def test_a_path_is_told_once(one: Resolved, two: Resolved) -> None:
    paths = [change.path for change in diff(one, two)]
    assert len(paths) == len(set(paths))


def test_paths_are_dotted_and_named_things_go_by_name() -> None:
    before = dataclasses.replace(
        project(params={"rows": 1, "a.b": 1}, workflows=[{"name": "main", "path": "a.py"}, {"name": "old"}]),
        workflows={"main": Workflow(name="main", schedule="0 1 * * *")},
    )
    after = dataclasses.replace(
        project(params={"rows": 2, "a.b": 2}, workflows=[{"name": "main", "path": "b.py"}]),
        workflows={"main": Workflow(name="main", schedule="0 2 * * *")},
    )
    found = {change.path: change.action for change in diff(before, after)}
    assert found == {
        "project.spec.params.rows": Action.CHANGE,
        'project.spec.params."a.b"': Action.CHANGE,
        "project.spec.workflows[main].path": Action.CHANGE,
        "project.spec.workflows[old]": Action.REMOVE,
        "workflows.main.schedule": Action.CHANGE,
    }


def test_what_a_commit_or_clock_changes_is_no_difference() -> None:
    one = Resolved(name="f", project={}, functions={"f": {"metadata": {"updated": 1, "hash": "a"}, "status": {"x": 1}}})
    two = Resolved(name="f", project={}, functions={"f": {"metadata": {"updated": 2, "hash": "b"}, "status": {"x": 2}}})
    assert diff(one, two) == ()
    assert revision_id(one) == revision_id(two)


def test_a_users_own_words_are_a_difference() -> None:
    one, two = project(params={"status": 1}), project(params={"status": 2})
    assert [change.path for change in diff(one, two)] == ["project.spec.params.status"]
    assert diff(Resolved(name="f", project={}, functions={"owner": {}}), Resolved(name="f", project={})) != ()


def test_true_is_not_one() -> None:
    assert [change.path for change in diff(project(params={"a": 1}), project(params={"a": True}))]
    assert [change.path for change in diff(project(params=[{"a": 1}]), project(params=[{"a": True}]))]


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "spec",
    [
        {"params": {"db_password": SECRET}},
        {"params": {"AWS_SECRET_ACCESS_KEY": SECRET}},
        {"params": {"apiKey": SECRET}},
        {"params": {"credentials": {"user": SECRET}}},
        {"params": {"tokens": {"token": [SECRET]}}},
        {"env": [{"name": "GIT_TOKEN", "value": SECRET}]},
        {"source": f"git://user:{SECRET}@git.example.com/x"},
        {"source": f"https://{SECRET}@git.example.com/x"},
        {"params": {"secret": {"a": {"b": SECRET}}}},
    ],
)
def test_no_secret_is_shown_wherever_it_stands(spec: dict[str, Any]) -> None:
    empty, full = Resolved(name="f", project={}), project(**spec)
    changed = msgspec.convert(_replaced(msgspec.to_builtins(full)), Resolved)
    for one, two in [(empty, full), (full, empty), (full, changed), (None, full)]:
        changes = diff(one, two)
        assert changes
        assert SECRET not in repr(changes)


def _replaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one) for one in value]
    return value.replace("hunter2hunter2", "swordfishswordfish") if isinstance(value, str) else value


@pytest.mark.parametrize(
    "key", ["password", "dbPassword", "API_KEY", "access-key", "private_key", "token", "MY_SECRET"]
)
def test_what_looks_secret(key: str) -> None:
    assert looks_secret(key)
    assert masked({key: "x"}) == {key: "***"}


@pytest.mark.parametrize("key", ["max_tokens", "tokenizer", "key", "keyword", "secretary", "passenger", "rows"])
def test_what_does_not_look_secret(key: str) -> None:
    assert not looks_secret(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://ada:hunter2@h/x", "see https://***@h/x"),
        ("-git+https://hunter2@h/x", "-git+https://***@h/x"),
        ("https://h/x?by=ada@h", "https://h/x?by=ada@h"),
        ("a" * 1_000_000, "a" * 1_000_000),  # were each letter taken for the begin of an address, for hours
    ],
    ids=["login", "scheme with a sign", "none", "long"],
)
def test_the_login_of_an_address_is_secret(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_long_values_are_shown_so_that_they_can_be_told_apart() -> None:
    (change,) = diff(project(code="x" * 5000 + "a"), project(code="x" * 5000 + "b"))
    assert len(str(change.before)) < 200
    assert change.before != change.after
