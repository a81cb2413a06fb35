"""git's words: made into our sentences, with what is secret taken out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.source.failures import complains, looks_broken, redact, unreachable
from service.source.git import GitError

SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)


def said(stderr: str) -> GitError:
    return GitError("fetch", 128, stderr)


@given(st.text(max_size=50), SECRET, st.text(max_size=50))
def test_a_secret_is_taken_out_wherever_it_stands(before: str, secret: str, after: str) -> None:
    assert secret not in redact(before + secret + after + secret, (secret,)).replace("***", "")


@given(SECRET.filter(lambda s: not set(s) & set("/@'\" ")))
def test_the_user_part_of_any_address_is_taken_out(secret: str) -> None:
    assert (
        redact(f"fatal: unable to access 'https://{secret}@h/x.git/'")
        == "fatal: unable to access 'https://***@h/x.git/'"
    )
    assert redact(f"https://ada:{secret}@h/x") == "https://***@h/x"


def test_a_word_without_an_end_is_looked_at_once() -> None:
    assert redact("a" * 1_000_000) == "a" * 1_000_000
    assert not complains("pack " * 500_000)


def test_what_the_other_side_says_is_no_complaint_of_our_git() -> None:
    assert complains("error: bad object HEAD")
    assert not complains("remote: fatal: not a git repository\nremote: Remote HEAD is corrupt")


@pytest.mark.parametrize(
    ("stderr", "says"),
    [
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "wants a password"),
        ("fatal: Authentication failed for 'https://h/x.git/'", "refuses the credentials"),
        ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", "refuses the ssh key"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "another ssh host key"),
        ("remote: Repository not found.\nfatal: repository 'https://h/x.git/' not found", "is gone, or hidden"),
        ("fatal: unable to access 'https://h/x.git/': The requested URL returned error: 403", "is forbidden"),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "cannot be resolved"),
        ("ssh: Could not resolve hostname h: Name or service not known", "cannot be resolved"),
        ("fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate", "TLS certificate"),
        ("error: RPC failed; curl 28 Operation too slow. Less than 1000 bytes/sec transferred", "hangs"),
        ("ssh: connect to host h port 22: Connection timed out", "hangs"),
        ("ssh: connect to host h port 22: Connection refused", "refuses the connection"),
        ("fatal: write error: No space left on device", "the disk is full"),
        ("fatal: fetch-pack: invalid index-pack output\nerror: index-pack died of signal 25", "larger than a mirror"),
        ("error: object 1234: hasDotgit: contains '.git'\nfatal: fsck error in packed object", "git's own checks"),
        ("something nobody foresaw", "could not be fetched"),
    ],
)
def test_each_kind_has_its_sentence(stderr: str, says: str) -> None:
    error = unreachable("fraud", said(stderr))
    assert says in error.what
    assert error.what.startswith("Repository fraud ")
    assert error.mend
    assert error.detail


def test_the_name_of_a_repository_decides_nothing() -> None:
    stderr = "fatal: unable to access 'https://h/tls-certificate-404-redirect.git/': Failed to connect to h port 443"
    assert "refuses the connection" in unreachable("fraud", said(stderr)).what


def test_long_words_are_cut_from_the_front_where_git_says_least() -> None:
    error = unreachable("fraud", said("remote: noise\n" * 5000 + "fatal: the point"))
    assert len(error.detail) < 5000
    assert error.detail.endswith("fatal: the point")


@pytest.mark.parametrize(
    ("stderr", "broken"),
    [
        ("error: object file ./objects/ab/cd is empty\nfatal: loose object abcd is corrupt", True),
        ("error: packfile ./objects/pack/pack-1.pack does not match index", True),
        ("fatal: bad object refs/heads/main", True),
        ("fatal: not a git repository: '/data/mirrors/fraud.git'", True),
        ("fatal: unable to access 'http://h/x.git/': Failed to connect to h", False),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", False),
        ("error: object 1234: hasDotgit: contains '.git'\nfatal: fsck error in packed object", False),
    ],
)
def test_a_broken_mirror_is_told_from_a_broken_server(stderr: str, broken: bool) -> None:
    assert looks_broken(said(stderr)) is broken
