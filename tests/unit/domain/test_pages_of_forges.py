from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.links import commit_url, diff_url

A, B = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("forge", "url", "page", "commit", "diff"),
    [
        ("github", "https://github.com/ml/fraud.git", "https://github.com/ml/fraud", f"/commit/{B}", f"/compare/{A}...{B}"),
        ("github", "ssh://git@github.com/ml/fraud.git", "https://github.com/ml/fraud", f"/commit/{B}", f"/compare/{A}...{B}"),
        ("gitea", "http://git.local:3000/ml/fraud", "http://git.local:3000/ml/fraud", f"/commit/{B}", f"/compare/{A}...{B}"),
        ("forgejo", "ssh://git@code.example:2222/ml/fraud.git", "https://code.example/ml/fraud", f"/commit/{B}", f"/compare/{A}...{B}"),
        ("gogs", "https://gogs.example/ml/fraud.git/", "https://gogs.example/ml/fraud", f"/commit/{B}", f"/compare/{A}...{B}"),
        ("gitlab", "https://gitlab.com/group/sub/fraud.git", "https://gitlab.com/group/sub/fraud", f"/-/commit/{B}", f"/-/compare/{A}...{B}"),
        ("bitbucket", "https://bitbucket.org/ml/fraud.git", "https://bitbucket.org/ml/fraud", f"/commits/{B}", f"/branches/compare/{B}..{A}#diff"),
        ("bitbucket-dc", "https://bb.example/scm/ML/fraud.git", "https://bb.example/projects/ML/repos/fraud", f"/commits/{B}", f"/compare/diff?targetBranch={A}&sourceBranch={B}"),
        ("bitbucket-dc", "https://bb.example/bitbucket/scm/~ada/fraud.git", "https://bb.example/bitbucket/users/ada/repos/fraud", f"/commits/{B}", f"/compare/diff?targetBranch={A}&sourceBranch={B}"),
        ("bitbucket-dc", "ssh://git@bb.example:7999/ml/fraud.git", "https://bb.example/projects/ml/repos/fraud", f"/commits/{B}", f"/compare/diff?targetBranch={A}&sourceBranch={B}"),
        ("azure-devops", "https://dev.azure.com/org/My%20Project/_git/fraud", "https://dev.azure.com/org/My%20Project/_git/fraud", f"/commit/{B}", f"/branchCompare?baseVersion=GC{A}&targetVersion=GC{B}&_a=files"),
        ("azure-devops", "ssh://git@ssh.dev.azure.com/v3/org/project/fraud", "https://dev.azure.com/org/project/_git/fraud", f"/commit/{B}", f"/branchCompare?baseVersion=GC{A}&targetVersion=GC{B}&_a=files"),
    ],
)  # fmt: skip
def test_each_forge_has_its_pages(forge: str, url: str, page: str, commit: str, diff: str) -> None:
    assert commit_url(forge, url, B) == page + commit
    assert diff_url(forge, url, A, B) == page + diff


@pytest.mark.parametrize(
    ("forge", "url"),
    [
        ("generic", "https://git.example.com/ml/fraud.git"),
        ("github", "file:///srv/fraud"),
        ("github", "https://"),
        ("github", "https://github.com"),
        ("github", "https://[bad/ml/fraud"),
        ("github", "https://github.com:port/ml/fraud"),
        ("bitbucket-dc", "https://bb.example/fraud"),
        ("azure-devops", "ssh://git@ssh.dev.azure.com/v3/org/fraud"),
    ],
)
def test_where_nobody_knows_a_page_there_is_none(forge: str, url: str) -> None:
    assert commit_url(forge, url, B) is None
    assert diff_url(forge, url, A, B) is None


def test_nothing_is_compared_with_itself_or_with_nothing() -> None:
    url = "https://github.com/ml/fraud.git"
    assert diff_url("github", url, None, B) is None
    assert diff_url("github", url, B, B) is None
    assert diff_url("github", url, "main", B) is None
    assert commit_url("github", url, "not a commit") is None


@given(
    st.text(alphabet=string.printable + "äß\u202e", max_size=60),
    st.sampled_from(["github", "bitbucket-dc", "azure-devops"]),
)
def test_whatever_stands_in_an_address_a_page_is_a_plain_one_or_none(path: str, forge: str) -> None:
    page = commit_url(forge, f"https://git.example.com/{path}", B)
    assert page is None or (
        page.isascii() and page.startswith("https://git.example.com/") and not set(page) & set(' <>"|\n')
    )


def test_credentials_in_an_address_do_not_come_along() -> None:
    assert "hunter2" not in str(commit_url("github", "https://ada:hunter2@github.com/ml/fraud.git", B))
