"""A project's name is read from a file, never by running one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import project_name
from service.domain.projects import Declaration
from service.errors import GitopsFileError, ProjectFileError

MLRUN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
NAMED = "kind: project\nmetadata:\n  name: fraud\nspec:\n  params: {a: !!python/tuple [1]}\n"


def name(
    declaration: Declaration, text: str | None = None, ref: str = "refs/heads/main", repository: str = "repo"
) -> str:
    return project_name.resolve(declaration, text, repository=repository, ref=ref)


def test_project_yaml_names_it() -> None:
    assert name(Declaration(), NAMED) == "fraud"
    assert name(Declaration(name="fraud"), NAMED) == "fraud"


def test_the_declaration_names_what_project_yaml_does_not() -> None:
    assert name(Declaration(name="risk")) == "risk"
    assert name(Declaration(name="risk"), "metadata: {}") == "risk"


def test_without_a_name_it_is_the_repositorys_and_the_paths() -> None:
    assert name(Declaration(), repository="ML_Models.v2") == "ml-models-v2"
    assert name(Declaration(path="teams/Risk"), repository="ml") == "ml-teams-risk"
    assert name(Declaration(), "spec: {}", repository="ml") == "ml"
    assert name(Declaration(), "", repository="ml") == "ml"


def test_a_pattern_takes_the_branch() -> None:
    declared = Declaration(name="fraud-{ref}", refs=("**",))
    assert name(declared, NAMED, ref="refs/heads/feature/New_Model") == "fraud-feature-new-model"
    assert name(declared, NAMED, ref="refs/tags/v1.2") == "fraud-v1-2"


def test_two_names_that_disagree_are_told() -> None:
    with pytest.raises(GitopsFileError, match="'risk'.*'fraud'"):
        name(Declaration(name="risk"), NAMED)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metadata: {name: Fraud}", "'Fraud' is no project name"),
        ("metadata: {name: -a}", "is no project name"),
        (f"metadata: {{name: {'a' * 64}}}", "is no project name"),
        ("metadata: {name: 5}", "'5' is no project name"),
        ("metadata: {name: [a]}", "is no project name"),
        ("metadata: fraud", "metadata is not a mapping"),
        ("- fraud", "is not a mapping"),
        ("metadata: {name: a}\nmetadata: {name: b}", "stands here twice"),
        ("a: &a [*a]", "stands for itself"),
    ],
)
def test_a_project_yaml_that_cannot_name_it_says_why(text: str, said: str) -> None:
    with pytest.raises(ProjectFileError, match=re.escape(said)):
        name(Declaration(), text)


@given(st.text(min_size=1, max_size=120), st.sampled_from(["fraud-{ref}", "{ref}", "{ref}-{ref}", "a" * 50 + "-{ref}"]))
def test_every_branch_gives_a_name_that_mlrun_takes(branch: str, pattern: str) -> None:
    found = name(Declaration(name=pattern), ref=f"refs/heads/{branch}")
    assert MLRUN.match(found)
    assert len(found) <= 63


@given(st.text(min_size=1, max_size=150), st.text(min_size=1, max_size=50))
def test_every_repository_gives_a_name_that_mlrun_takes(repository: str, path: str) -> None:
    found = name(Declaration(path=path), repository=repository)
    assert MLRUN.match(found)
    assert len(found) <= 63


def test_long_branches_keep_different_names() -> None:
    declared = Declaration(name="fraud-{ref}")
    one, two = (name(declared, ref=f"refs/heads/{'long-' * 20}{end}") for end in "ab")
    assert one != two
