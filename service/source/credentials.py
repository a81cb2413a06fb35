"""How git gets to know a token or key without anybody else seeing it.

A token is in no argument, address, environment or file. It lies in an anonymous memory file whose descriptor git
inherits, and git's credential helper is a line of shell that prints that descriptor when git asks for the host of the
setting, and for no other (a proxy may want credentials too). What a look at /proc shows is a number. ssh insists on a key *file*: it is written with mode 0600 into our own folder for the time of one fetch.
"""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from service import limits
from service.errors import RepositoryUnreachable
from service.settings import Repository
from service.source.address import Address

# What each forge documents as the user that goes with a token; where any will do, git's own name.
_TOKEN_USERS = {"github": "x-access-token", "gitlab": "oauth2", "bitbucket": "x-token-auth"}


@dataclass(frozen=True, slots=True)
class Access:
    """What one git command needs to be let in. `secrets` are the words that must not get out, for `redact`."""

    config: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    fds: tuple[int, ...] = ()
    secrets: tuple[str, ...] = ()
    given: bool = False


@contextlib.contextmanager
def access(repository: Repository, address: Address, *, known_hosts: Path, keys: Path) -> Iterator[Access]:
    """Credentials of `repository` for the time of one command.

    `known_hosts` is the file of ssh host keys seen so far, `keys` a folder that is ours alone (0700).
    """
    if address.scheme == "ssh":
        with _ssh(repository, known_hosts, keys) as found:
            yield found
        return
    token = repository.credentials.token
    if token is None and address.username is None:
        yield Access()
        return
    if token is not None and address.scheme == "http" and not address.loopback:
        error = RepositoryUnreachable(
            f"Repository {repository.name} is not fetched: its token would travel unencrypted over http://",
            mend="Use an https:// or ssh:// address",
        )
        error.retry = False
        raise error
    # `https://<token>@host/` is a habit too: then the user part is the secret and there is no password.
    username = repository.credentials.username or address.username or _TOKEN_USERS.get(repository.forge, "git")
    secret = token.get_secret_value() if token is not None else ""
    if any(c in username + secret for c in "\r\n\0"):
        error = RepositoryUnreachable(
            f"Repository {repository.name} is not fetched: its username or token has a line break in it",
            mend="Write one line into credentials.token_file",
        )
        error.retry = False
        raise error
    descriptor = _memory(f"username={username}\npassword={secret}\n".encode())
    try:
        yield Access(
            config={"credential.helper": _helper(address, descriptor)},
            fds=(descriptor,),
            secrets=_words(username, secret, username_is_secret=not secret),
            given=True,
        )
    finally:
        os.close(descriptor)


def _helper(address: Address, descriptor: int) -> str:
    """A line of shell for git, which calls it with what it wants and says on its stdin for whom."""
    answer = f'test "$line" != "host={address.authority}" || cat /dev/fd/{descriptor}'
    return f'!f() {{ test "$1" = get || return 0; while read -r line; do {answer}; done; }}; f'


def _memory(content: bytes) -> int:
    """A descriptor of an anonymous file that holds `content`; each opening of /dev/fd/N reads it from the start."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("gitops")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _words(username: str, secret: str, *, username_is_secret: bool) -> tuple[str, ...]:
    basic = base64.b64encode(f"{username}:{secret}".encode()).decode()
    words = [secret, quote(secret, safe=""), basic]
    if username_is_secret:
        words += [username, quote(username, safe="")]
    return tuple(sorted({w for w in words if w}, key=len, reverse=True))


@contextlib.contextmanager
def _ssh(repository: Repository, known_hosts: Path, keys: Path) -> Iterator[Access]:
    """ssh with one key or none, no agent, no configuration, and the host keys that were seen first."""
    key = repository.credentials.ssh_key
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": _ssh_word(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ConnectTimeout": str(int(limits.GIT_LOW_SPEED_S)),
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
        "IdentityFile": "none",
    }
    file: Path | None = None
    if key is not None:
        descriptor, path = tempfile.mkstemp(dir=keys, prefix="key-")  # 0600 from the start
        file = Path(path)
        options["IdentityFile"] = _ssh_word(file)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            # ssh wants the last line ended; settings cut the line break off.
            out.write(key.get_secret_value().rstrip("\n") + "\n")
    command = " ".join(["ssh", "-F", "/dev/null", *(_quoted(f"-o{k}={v}") for k, v in options.items())])
    secrets = tuple(key.get_secret_value().splitlines()[1:-1]) if key is not None else ()
    try:
        yield Access(env={"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"}, secrets=secrets, given=key is not None)
    finally:
        if file is not None:
            file.unlink(missing_ok=True)


def _ssh_word(path: Path) -> str:
    """A path as ssh reads one in its options: blanks separate there, and `%` begins a token."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
