"""The address of a repository: taken apart and checked before git sees it.

git understands addresses that run commands (`ext::`), read local files (`file://`, `/path`) or are options (`-u`).
Only https, http and ssh with an ordinary host pass, and what may be a secret (the user part of an https address) is
taken out: it goes to git by way of `credentials`, never in an argument.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from service.errors import RepositoryUnreachable

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
_SSH_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Address:
    """`url` is what git is given: without a password, and for http(s) without a user."""

    url: str
    scheme: str
    host: str
    username: str | None = None

    @property
    def authority(self) -> str:
        """Host and port as git names them when it asks for credentials."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(name: str, url: str) -> Address:
    """The address of the repository `name`. Raises RepositoryUnreachable, never repeating what may be a secret."""
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        raise _refused(name, "its url holds spaces, control or non-ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused(name, "its url cannot be taken apart") from error
    scheme = parts.scheme.lower()
    if scheme not in ("https", "http", "ssh") or not url.lower().startswith(f"{scheme}://"):
        raise _refused(name, "its url is neither https://, http:// nor ssh://")
    if not _HOST.fullmatch(host) and not _is_ipv6(host):
        raise _refused(name, "its url names no ordinary host")
    if parts.password is not None:
        raise _refused(name, "a password stands in its url", mend="Move it to credentials.token_file")
    if len(parts.path.strip("/")) == 0 or parts.query or parts.fragment:
        raise _refused(name, "its url needs a path to a repository, without `?` or `#`")
    username = unquote(parts.username) if parts.username else None
    if scheme == "ssh" and username is not None and not _SSH_USER.fullmatch(username):
        raise _refused(name, "the user in its url is no ordinary ssh user")
    where = f"[{host}]" if ":" in host else host
    where += f":{port}" if port is not None else ""
    user = f"{username}@" if scheme == "ssh" and username else ""
    return Address(f"{scheme}://{user}{where}{parts.path}", scheme, host, username)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6 and "%" not in host
    except ValueError:
        return False


def _refused(name: str, why: str, mend: str = "Correct repositories[].url") -> RepositoryUnreachable:
    error = RepositoryUnreachable(f"Repository {name} is not fetched: {why}", mend=mend)
    error.retry = False
    return error
