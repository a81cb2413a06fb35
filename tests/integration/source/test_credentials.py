"""Private repositories: the right password opens, a wrong one is told, and nobody else gets to see it."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import RepositoryUnreachable
from service.settings import Credentials, Forge, Repository
from service.source.address import parse_address
from service.source.credentials import access
from tests.integration.source.conftest import Place, let_in
from tests.peers.git_http import GitRepository, GitServer, Mode, Request

Make = Callable[..., Place]


@pytest.fixture
def private(forge: GitServer) -> GitRepository:
    return forge.create("fraud", private=True)


def right(forge: GitServer) -> Credentials:
    return let_in(forge.user, forge.password)


def test_the_right_password_opens(forge: GitServer, private: GitRepository, place_for: Make) -> None:
    place = place_for(private, right(forge))
    commit = place.push({"a": "1"})
    assert place.fetch().commit("refs/heads/main") == commit
    assert {r.user for r in forge.requests if r.service == "git-upload-pack" and r.method == "POST"} == {"ada"}


def test_without_a_password_the_error_asks_for_one(private: GitRepository, place_for: Make) -> None:
    place = place_for(private)
    place.push({"a": "1"})
    with pytest.raises(RepositoryUnreachable, match="wants a password and none is set. Set credentials.token_file"):
        place.fetch()


def test_a_wrong_password_is_told_and_not_shown(forge: GitServer, private: GitRepository, place_for: Make) -> None:
    place = place_for(private, let_in("ada", "wrong-Passw0rd/+="))
    place.push({"a": "1"})
    with pytest.raises(RepositoryUnreachable, match="refuses the credentials") as caught:
        place.fetch()
    assert "wrong-Passw0rd" not in f"{caught.value} {caught.value.detail} {caught.value.mend}"
    assert caught.value.__cause__ is None


def test_a_password_full_of_signs_arrives_as_it_is(tmp_path: Path, place_for: Make) -> None:
    password = "p@ss:w/ö rd'\"$(id)`\\%20&;=\t"
    with GitServer(tmp_path / "other", user="ada", password=password) as forge:
        repository = forge.create("fraud")
        place = place_for(repository, right(forge))
        run = repository.git
        tree = run("mktree", stdin=b"")
        run("update-ref", "refs/heads/main", run("commit-tree", "-m", "x", tree))
        repository.private = True
        assert place.fetch().refs


def test_a_password_with_a_line_break_is_refused_before_git_reads_it(
    forge: GitServer, private: GitRepository, place_for: Make
) -> None:
    place = place_for(private, let_in("ada", "one\nhost=evil.example.com"))
    with pytest.raises(RepositoryUnreachable, match="line break"):
        place.fetch()


def test_the_user_part_of_an_address_is_a_user_or_a_token(
    forge: GitServer, private: GitRepository, place_for: Make
) -> None:
    place = place_for(private, let_in(None, forge.password))
    place.push({"a": "1"})
    place.setting = place.setting.model_copy(update={"url": private.url.replace("://", "://ada@")})
    assert place.fetch().refs


@pytest.mark.parametrize(
    ("forge_kind", "user"),
    [("github", "x-access-token"), ("gitlab", "oauth2"), ("bitbucket", "x-token-auth"), ("gitea", "git")],
)
def test_a_token_alone_goes_with_the_forges_documented_user(forge_kind: Forge, user: str, tmp_path: Path) -> None:
    repository = Repository(
        name="x",
        url="https://example.com/x.git",
        forge=forge_kind,
        webhook_secrets="insecure",
        credentials=let_in(None, "t0k"),
    )
    with access(repository, parse_address("x", repository.url), known_hosts=tmp_path / "known", keys=tmp_path) as given:
        assert Path(f"/proc/self/fd/{given.fds[0]}").read_text() == f"username={user}\npassword=t0k\n"


@pytest.mark.parametrize(
    ("url", "asked", "answered"),
    [
        ("https://git.example.com/x.git", "host=git.example.com", True),
        ("https://git.example.com:8443/x.git", "host=git.example.com:8443", True),
        ("http://[::1]:3000/x.git", "host=[::1]:3000", True),
        ("https://git.example.com/x.git", "host=proxy.example.com:3128", False),
        ("https://git.example.com/x.git", "host=git.example.com:444", False),
        ("https://git.example.com/x.git", "path=host=git.example.com", False),
    ],
)
@pytest.mark.parametrize("verb", ["get", "store", "erase"])
def test_only_the_host_of_the_setting_is_answered(
    url: str, asked: str, answered: bool, verb: str, tmp_path: Path
) -> None:
    repository = Repository(name="x", url=url, webhook_secrets="insecure", credentials=let_in("ada", "t0k"))
    with access(repository, parse_address("x", url), known_hosts=tmp_path / "known", keys=tmp_path) as given:
        helper = given.config["credential.helper"].removeprefix("!")
        done = subprocess.run(
            ["sh", "-c", f"{helper} {verb}"],
            input=f"protocol=https\n{asked}\n\n",
            pass_fds=given.fds,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == ("username=ada\npassword=t0k\n" if answered and verb == "get" else "")


def everything_of_my_children() -> bytes:
    """Arguments and environment of all processes below this one."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    seen = b""
    for pid in mine - {os.getpid()}:
        for what in ("cmdline", "environ"):
            try:
                seen += Path(f"/proc/{pid}/{what}").read_bytes() + b"\n"
            except OSError:
                continue
    return seen


def test_no_process_shows_the_password_and_none_inherits_the_services_environment(
    forge: GitServer,
    private: GitRepository,
    place_for: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = place_for(private, right(forge))
    place.push({"a": "1"})
    monkeypatch.setenv("SLACK_TOKEN", "the-services-own-secret")
    monkeypatch.setenv("GIT_TRACE_CURL", "1")
    seen: list[bytes] = []

    def look(request: Request) -> None:
        # Asked with the password by now: git, its transport and maybe the helper live and hold this answer.
        if request.user and request.service == "git-upload-pack":
            seen.append(everything_of_my_children())

    forge.before = look
    with caplog.at_level(logging.DEBUG):
        place.fetch()
    assert seen
    for words in seen:
        assert b"git-remote-http" in words or b"remote-http" in words
        assert b"GIT_TERMINAL_PROMPT=0" in words
        for secret in (forge.password.encode(), b"the-services-own-secret", b"GIT_TRACE_CURL"):
            assert secret not in words
    assert forge.password not in caplog.text


def test_the_password_is_in_no_file_of_the_mirror(forge: GitServer, private: GitRepository, place_for: Make) -> None:
    place = place_for(private, right(forge))
    place.push({"a": "1"})
    place.fetch()
    for file in place.data.rglob("*"):
        if file.is_file():
            assert forge.password.encode() not in file.read_bytes(), file


def test_only_git_itself_inherits_the_password(forge: GitServer, private: GitRepository, place_for: Make) -> None:
    """A process started by another thread meanwhile must not get the descriptor."""
    place = place_for(private, right(forge))
    place.push({"a": "1"})
    with access(
        place.setting, parse_address("fraud", private.url), known_hosts=place.data / "known", keys=place.data
    ) as given:
        assert not os.get_inheritable(given.fds[0])


def test_a_hanging_private_server_leaves_no_descriptor_open(
    forge: GitServer, private: GitRepository, place_for: Make
) -> None:
    place = place_for(private, right(forge))
    place.push({"a": "1"})
    private.behave(Mode.HANG)
    source = place.restarted(timeout_s=1, clone_timeout_s=1)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(RepositoryUnreachable):
        source.fetch(place.setting)
    private.behave(Mode.WELL)
    deadline = time.monotonic() + 10
    # The peer's own connection closes in its own time.
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before
