"""A repository that cannot be fetched says why and what to do; each cause in its own words."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import pytest

from service.errors import RepositoryUnreachable
from tests.integration.source.conftest import Place, let_in
from tests.peers.git_http import GitRepository, GitServer, Mode


def refusal(place: Place) -> RepositoryUnreachable:
    with pytest.raises(RepositoryUnreachable) as caught:
        place.fetch()
    return caught.value


def elsewhere(place: Place, url: str) -> Place:
    place.setting = place.setting.model_copy(update={"url": url})
    return place


@pytest.mark.parametrize(
    ("mode", "what", "mend"),
    [
        (Mode.GONE, "is gone, or hidden", "repositories[].url"),
        (Mode.FORBIDDEN, "is forbidden", "right to read"),
        (Mode.BUSY, "too many requests", "poll"),
        (Mode.BROKEN, "a server in trouble", "server's own log"),
        (Mode.MOVED, "redirect, which is not followed", "address the forge shows now"),
        (Mode.PAGE, "is not a Git repository", "not as a Git server does"),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["mirrored before", "never seen"])
def test_each_refusal_has_its_sentence_and_mend(place: Place, mode: Mode, what: str, mend: str, known: bool) -> None:
    commit = place.push({"a": "1"})
    place.repository.moved_to = f"{place.repository.server.url}/ml/other.git"
    if known:
        place.fetch()
    place.repository.behave(mode)
    error = refusal(place)
    assert what in error.what
    assert mend in error.mend
    assert error.detail
    assert error.retry
    assert error.code == "repository-unreachable"
    place.repository.behave(Mode.WELL)
    assert place.fetch().commit("refs/heads/main") == commit


def test_a_redirect_is_not_followed_with_the_credentials(
    forge: GitServer, place_for: Callable[[GitRepository], Place], tmp_path: object
) -> None:
    place = place_for(forge.create("fraud"))
    other = forge.create("other", private=True)
    place.push({"a": "1"})
    place.setting = place.setting.model_copy(update={"credentials": let_in("ada", forge.password)})
    place.repository.moved_to = other.url
    place.repository.behave(Mode.MOVED)
    forge.requests.clear()
    refusal(place)
    assert [r.repository for r in forge.requests] == ["fraud"]


def test_a_hanging_server_is_given_up_on_and_leaves_no_git_behind(place: Place) -> None:
    place.push({"a": "1"})
    place.fetch()
    place.repository.behave(Mode.HANG)
    source, begun = place.restarted(timeout_s=1, clone_timeout_s=1), time.monotonic()
    with pytest.raises(RepositoryUnreachable, match="hangs: it was not through after 1 s"):
        source.fetch(place.setting)
    assert time.monotonic() - begun < 10
    place.repository.behave(Mode.WELL)
    assert place.fetch().refs  # with time enough for a busy machine


def test_a_server_that_stalls_in_the_middle_of_a_pack_is_given_up_on(place: Place) -> None:
    place.push({"a": os.urandom(200_000)})
    place.repository.behave(Mode.STALL)
    with pytest.raises(RepositoryUnreachable, match="hangs"):
        place.restarted(timeout_s=1, clone_timeout_s=1).fetch(place.setting)
    assert not place.mirror.exists()


def test_a_port_where_nobody_listens_refuses(place: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x.git"
        assert "refuses the connection" in refusal(elsewhere(place, url)).what


def test_a_server_that_does_not_speak_tls_is_not_trusted(place: Place) -> None:
    error = refusal(elsewhere(place, place.setting.url.replace("http://", "https://")))
    assert "TLS" in error.what
    assert "SSL_CERT_FILE" in error.mend


def test_a_page_in_place_of_the_repository_is_not_taken_for_an_empty_one(place: Place) -> None:
    """The page is one line without an end, which git reads as an old file server's list of no refs."""
    commit = place.push({"a": "1"})
    place.fetch()
    place.repository.behave(Mode.PAGE)
    assert "is not a Git repository" in refusal(place).what
    place.repository.behave(Mode.WELL)
    sent = place.repository.sent
    assert place.fetch().commit("refs/heads/main") == commit
    assert place.repository.sent - sent < 5_000


def test_a_server_that_hangs_up_is_told_with_gits_words(place: Place) -> None:
    place.push({"a": "1"})
    place.repository.behave(Mode.DROP)
    error = refusal(place)
    assert error.retry
    assert "unable to access" in error.detail


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch /tmp/owned'",
        "ext::sh%20-c%20id",
        "file:///etc",
        "/etc",
        "-u/usr/bin/id",
        "--upload-pack=id",
        "git://example.com/x.git",
        "ftp://example.com/x.git",
        "https://",
        "https:///x.git",
        "https://-oProxyCommand=id/x.git",
        "ssh://-oProxyCommand=id/x.git",
        "ssh://git@-oProxyCommand=id/x.git",
        "ssh://-oProxyCommand=id@example.com/x.git",
        "http://example.com/x.git\n--upload-pack=id",
        "https://example.com/",
        "https://example.com:notaport/x.git",
        "https://exa mple.com/x.git",
        "https://[::1/x.git",
        "HTTP::http://example.com/x.git",
        "http::https://example.com/x.git",
    ],
)
def test_an_address_that_could_hurt_never_reaches_git(place: Place, url: str) -> None:
    error = refusal(elsewhere(place, url))
    assert "is not fetched" in error.what
    assert not error.retry
    assert not place.mirror.exists()


@pytest.mark.parametrize(
    "url", ["https://ada:hunter2secret@127.0.0.1:1/x.git", "https://hunter2secret@127.0.0.1:1/x.git"]
)
def test_what_stands_in_an_address_is_not_repeated(place: Place, url: str) -> None:
    error = refusal(elsewhere(place, url))
    assert "hunter2secret" not in f"{error} {error.detail} {error.mend}"


def test_a_token_does_not_travel_unencrypted(place: Place) -> None:
    place.setting = place.setting.model_copy(update={"credentials": let_in(None, "t0ken-of-ours")})
    error = refusal(elsewhere(place, "http://git.example.com/x.git"))
    assert "unencrypted" in error.what
    assert not error.retry


def test_without_git_the_error_says_so(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from service.errors import SourceError

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="git is not installed. Install git"):
        place.fetch()


def test_a_data_dir_that_cannot_be_written_is_told(place: Place) -> None:
    place.push({"a": "1"})
    (place.data / "mirrors" / ".locks").rmdir()
    error = refusal(place)
    assert "cannot be mirrored" in error.what
    assert "data_dir" in error.mend
