"""A ref is taken when git takes it, and is never an option, a path or a trick of the terminal."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import limits
from service.domain.refs import check_ref, short
from service.errors import RefRejected


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/main",
        "refs/heads/feature/one-2",
        "refs/tags/v1.0.0",
        "refs/heads/ümlaut",
        "refs/heads/a@b",
        "refs/heads/#1",
    ],
)
def test_honest_names_pass(ref):
    check_ref(ref)


@pytest.mark.parametrize(
    ("ref", "because"),
    [
        ("main", "is no branch and no tag"),
        ("", "is no branch and no tag"),
        ("refs/notes/x", "is no branch and no tag"),
        ("--upload-pack=touch /tmp/x", "is no branch and no tag"),
        ("refs/heads/--upload-pack=x", "begins with '-'"),
        ("refs/heads/", "has an empty part"),
        ("refs/heads/a//b", "has an empty part"),
        ("refs/heads/a/", "has an empty part"),
        ("refs/heads/../../etc", "has '..' in it"),
        ("refs/heads/a@{1}", "has '@{' in it"),
        ("refs/heads/a b", "has a space in it"),
        ("refs/heads/a\nb", "control character U+000A"),
        ("refs/heads/a\x00b", "control character U+0000"),
        ("refs/heads/a\x7f", "control character U+007F"),
        ("refs/heads/a\u202eb", "control character U+202E"),
        ("refs/heads/a\ud800", "control character U+D800"),
        ("refs/heads/a~1", "has '~' in it"),
        ("refs/heads/a^", "has '^' in it"),
        ("refs/heads/a:b", "has ':' in it"),
        ("refs/heads/a?", "has '?' in it"),
        ("refs/heads/*", "has '*' in it"),
        ("refs/heads/[a", "has '[' in it"),
        ("refs/heads/a\\b", "has '\\\\' in it"),
        ("refs/heads/a.lock", "ends with '.lock'"),
        ("refs/heads/a.lock/b", "ends with '.lock'"),
        ("refs/heads/.a", "begins with '.'"),
        ("refs/heads/a/.b", "begins with '.'"),
        ("refs/heads/a.", "ends with '.'"),
        ("refs/heads/" + "x" * limits.REF_NAME_BYTES, "is longer than 255 bytes"),
        ("refs/heads/" + "ü" * 130, "is longer than 255 bytes"),
    ],
)
def test_a_name_that_hurts_is_refused_and_says_why(ref, because):
    with pytest.raises(RefRejected) as caught:
        check_ref(ref)
    assert because in str(caught.value)
    assert str(caught.value).isascii()


@given(st.text(max_size=30))
def test_what_passes_is_taken_by_git_itself(name):
    ref = f"refs/heads/{name}"
    try:
        check_ref(ref)
    except RefRejected:
        return
    assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


@given(st.text("ab/.-@{~^:?*[\\ \n", min_size=1, max_size=8))
def test_what_git_refuses_never_passes(name):
    ref = f"refs/tags/{name}"
    taken_by_git = subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0
    try:
        check_ref(ref)
        taken_by_us = True
    except RefRejected:
        taken_by_us = False
    assert not taken_by_us or taken_by_git
    assert taken_by_us or not taken_by_git or name.startswith("-")


@pytest.mark.parametrize(
    ("ref", "name"),
    [("refs/heads/a/b", "a/b"), ("refs/tags/v1", "v1"), ("refs/heads/refs/tags/x", "refs/tags/x"), ("main", "main")],
)
def test_the_short_name_loses_one_prefix_only(ref, name):
    assert short(ref) == name
