"""Which refs and paths concern a project, and what skip tokens hold back."""

from __future__ import annotations

import pytest

from service.domain import triggers
from service.domain.plan import Cause
from service.domain.projects import Declaration, RunOn, RunRule

ON_TAG = (RunRule(workflow="main", on=RunOn.TAG),)


@pytest.mark.parametrize(
    ("declaration", "ref", "concerned"),
    [
        (Declaration(), "refs/heads/main", True),
        (Declaration(), "refs/heads/other", False),
        (Declaration(), "refs/tags/main", False),
        (Declaration(), "refs/notes/main", False),
        (Declaration(refs=("dev",)), "refs/heads/dev", True),
        (Declaration(refs=("dev",)), "refs/heads/main", False),
        (Declaration(refs=("refs/heads/dev",)), "refs/heads/dev", True),
        (Declaration(refs=("release/*",)), "refs/heads/release/1", True),
        (Declaration(refs=("release/*",)), "refs/heads/release/1/x", False),
        (Declaration(refs=("**", "!wip/**")), "refs/heads/wip/x", False),
        (Declaration(refs=("**", "!wip/**")), "refs/heads/x", True),
        (Declaration(refs=("dev",)), "refs/tags/dev", False),
        (Declaration(run=ON_TAG), "refs/tags/v1", True),
        (Declaration(run=ON_TAG), "refs/heads/main", True),
        (Declaration(run=ON_TAG, refs=("tags/v*",)), "refs/tags/v1", True),
        (Declaration(run=ON_TAG, refs=("refs/tags/v*",)), "refs/tags/x1", False),
        (Declaration(run=ON_TAG, refs=("tags/v*",)), "refs/heads/main", True),
        (Declaration(run=ON_TAG, refs=("dev",)), "refs/tags/v1", True),
        (Declaration(refs=("tags/v*",)), "refs/tags/v1", False),
    ],
)
def test_which_refs_concern_a_project(declaration: Declaration, ref: str, concerned: bool) -> None:
    assert triggers.concerns(declaration, ref, "main") is concerned
    assert triggers.bound([declaration], ref, "main") == ((declaration,) if concerned else ())


def test_without_a_known_branch_the_default_declaration_concerns_none() -> None:
    assert not triggers.concerns(Declaration(), "refs/heads/main", None)


@pytest.mark.parametrize(
    ("folder", "patterns", "changed", "relevant"),
    [
        (".", ("**",), ["a.py", "docs/x.md"], ["a.py", "docs/x.md"]),
        (".", ("**", "!docs/**"), ["a.py", "docs/x.md"], ["a.py"]),
        (".", ("!docs/**",), ["a.py", "docs/x.md"], ["a.py"]),
        (".", ("**", "!docs/**", "docs/api.md"), ["docs/api.md", "docs/x.md"], ["docs/api.md"]),
        (".", ("*.py",), ["a.py", "src/b.py", "c.md"], ["a.py", "src/b.py"]),
        ("teams/a", ("**",), ["teams/a/x.py", "teams/ab/x.py", "teams/b/x.py", "x.py"], ["teams/a/x.py"]),
        (
            "teams/a",
            ("**", "/shared/**"),
            ["shared/x.py", "teams/a/shared/y.py"],
            ["shared/x.py", "teams/a/shared/y.py"],
        ),
        ("teams/a", ("src/",), ["teams/a/src/x.py", "teams/a/y.py", "src/x.py"], ["teams/a/src/x.py"]),
        ("teams/a", ("**", "!/teams/a/docs/**"), ["teams/a/docs/x.md", "teams/a/x.py"], ["teams/a/x.py"]),
    ],
)
def test_which_paths_concern_a_project(
    folder: str, patterns: tuple[str, ...], changed: list[str], relevant: list[str]
) -> None:
    assert list(triggers.relevant(Declaration(path=folder, paths=patterns), changed)) == relevant


@pytest.mark.parametrize(
    ("messages", "token"),
    [
        (["fix [skip ci]"], "[skip ci]"),
        (["Fix [CI SKIP]", "more\n\n[no ci]"], "[CI SKIP]"),
        (["a [skip gitops]", "b [gitops skip]", "c [skip-actions]"], "[skip gitops]"),
        (["a [skip ci]", "b"], None),
        (["a", "b [skip ci]"], None),
        (["skip ci"], None),
        (["[skip cinema]"], None),
        ([], None),
    ],
)
def test_a_skip_token_counts_only_if_every_commit_has_one(messages: list[str], token: str | None) -> None:
    assert triggers.skip_token(messages) == token


MONOREPO = Declaration(path="teams/a", paths=("src/**", "/shared/**"))


@pytest.mark.parametrize(
    ("kwargs", "yes", "reason"),
    [
        ({"changed_paths": ["teams/b/x"]}, False, "none of the 1 changed files"),
        ({"changed_paths": []}, False, "no file changed"),
        ({"changed_paths": ["teams/a/README.md"]}, True, "teams/a/README.md changed in the project's folder"),
        ({"changed_paths": ["shared/x", "shared/y"]}, True, "shared/x and 1 more that paths names"),
        ({"changed_paths": None}, True, "not known"),
        ({"changed_paths": [], "synced_before": False}, True, "never synced"),
        ({"changed_paths": [], "declaration_changed": True}, True, "declaration changed"),
        ({"changed_paths": [], "cause": Cause.MANUAL}, True, "asked for"),
    ],
)
def test_whether_a_sync_must_load_the_project(kwargs: dict, yes: bool, reason: str) -> None:
    decision = triggers.should_sync(MONOREPO, **({"cause": Cause.PUSH} | kwargs))
    assert decision.yes is yes
    assert reason in decision.reason


@pytest.mark.parametrize(
    ("kwargs", "yes", "reason"),
    [
        ({}, True, "teams/a/src/x changed"),
        ({"cause": Cause.FOUND}, True, "teams/a/src/x changed"),
        ({"cause": Cause.RETRY}, True, "teams/a/src/x changed"),
        ({"cause": Cause.FIRST}, False, "found without a push"),
        ({"changed_paths": ["teams/a/README.md"]}, False, "none of the 1 changed files"),
        ({"changed_paths": []}, False, "no file changed"),
        ({"changed_paths": None}, True, "not known"),
        ({"messages": ["x [skip ci]"]}, False, "every commit since the last sync says [skip ci]"),
        ({"messages": ["x [skip ci]"], "cause": Cause.MANUAL}, True, "asked for"),
        ({"changed_paths": [], "cause": Cause.MANUAL}, True, "asked for"),
    ],
)
def test_whether_a_sync_may_run_anything(kwargs: dict, yes: bool, reason: str) -> None:
    usual = {"cause": Cause.PUSH, "changed_paths": ["teams/a/src/x"], "messages": ["x"]}
    decision = triggers.should_run(MONOREPO, **(usual | kwargs))
    assert decision.yes is yes
    assert reason in decision.reason
