"""Addresses are taken apart before git sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RepositoryUnreachable
from service.source.address import parse_address


@pytest.mark.parametrize(
    ("url", "kept", "username"),
    [
        ("https://git.example.com/ml/fraud.git", "https://git.example.com/ml/fraud.git", None),
        ("https://git.example.com:8443/ml/fraud", "https://git.example.com:8443/ml/fraud", None),
        ("https://ada@git.example.com/x.git", "https://git.example.com/x.git", "ada"),
        ("https://a%40b@git.example.com/x.git", "https://git.example.com/x.git", "a@b"),
        ("HTTPS://Git.Example.COM/X.git", "https://git.example.com/X.git", None),
        ("http://127.0.0.1:3000/x.git", "http://127.0.0.1:3000/x.git", None),
        ("http://[::1]:3000/x.git", "http://[::1]:3000/x.git", None),
        ("ssh://git@git.example.com:2222/~ml/x.git", "ssh://git@git.example.com:2222/~ml/x.git", "git"),
        ("https://dev.azure.com/org/a%20project/_git/x", "https://dev.azure.com/org/a%20project/_git/x", None),
    ],
)
def test_ordinary_addresses_pass_and_lose_their_user(url: str, kept: str, username: str | None) -> None:
    address = parse_address("fraud", url)
    assert (address.url, address.username) == (kept, username)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1/x", True),
        ("http://127.9.9.9/x", True),
        ("http://localhost/x", True),
        ("http://[::1]/x", True),
        ("http://localhost.example.com/x", False),
        ("http://10.0.0.1/x", False),
    ],
)
def test_loopback_is_what_never_leaves_the_machine(url: str, loopback: bool) -> None:
    assert parse_address("fraud", url).loopback is loopback


@given(
    st.sampled_from(["", "https://", "http://", "ssh://", "ext::", "-", "file://", "https://git@"]),
    st.text(st.characters(codec="utf-8"), max_size=40),
)
def test_whatever_passes_is_no_option_no_helper_and_no_local_path(scheme: str, rest: str) -> None:
    try:
        address = parse_address("fraud", scheme + rest)
    except RepositoryUnreachable as error:
        assert not error.retry
        return
    assert address.url.startswith(("https://", "http://", "ssh://"))
    assert not address.host.startswith("-")
    assert not any(c.isspace() or not c.isprintable() for c in address.url)
    assert (
        "::" not in address.url.split("://")[1].partition("/")[0].replace("[", "").partition("]")[0]
        or "[" in address.url
    )


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="@/:?#[]\\"), min_size=8, max_size=30)
)
def test_a_refusal_never_repeats_the_password(password: str) -> None:
    with pytest.raises(RepositoryUnreachable) as caught:
        parse_address("fraud", f"https://ada:{password}@git.example.com/x.git")
    assert password not in f"{caught.value}{caught.value.detail}"
