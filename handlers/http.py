"""The one way out for handlers that speak HTTP: timeouts, no redirects, size caps, and a guard on where it may go.

The guard resolves a name once, refuses addresses of this machine and of private networks, and connects to the very
address it looked at, so that a name which answers differently the second time gains nothing. Error texts name the
host, never the rest of the URL, which may be a secret.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from handlers.message import Rejected, Undelivered

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0
# What is read of an answer: enough for an error's text.
ANSWER_BYTES = 16 * 1024
# A server may ask for patience, but not forever.
RETRY_AFTER_MAX_S = 24 * 3600.0
# May pass by itself: too early, too many, the other side's own trouble.
PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound:
    """An HTTP client for one handler; safe to use from several threads."""

    def __init__(self, *, allow_private: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(
            verify=ssl.create_default_context(),  # the system's certificates, or those of SSL_CERT_FILE
            timeout=self._timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": "mlrun-gitops"},
        )

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer to a POST that was taken (2xx). Raises Undelivered or Rejected for any other."""
        answer = self.ask(url, content, headers)
        judge(host_of(url), answer)
        return answer

    def ask(self, url: str, content: bytes, headers: Mapping[str, str], *, most: int = ANSWER_BYTES) -> Answer:
        """The answer to a POST, whatever it is; `most` bytes of it. Raises Undelivered when there was none."""
        import httpx

        target = httpx.URL(url)
        deadline = time.monotonic() + self._timeout_s
        try:
            request = self._client.build_request(
                "POST",
                target.copy_with(host=self._address(target)),
                content=content,
                headers={**headers, "host": target.netloc.decode("ascii")},
                extensions={"sni_hostname": target.host},
            )
            response = self._client.send(request, stream=True)
            try:
                return Answer(response.status_code, dict(response.headers), _head(response, deadline, most))
            finally:
                response.close()
        except httpx.TimeoutException as error:
            raise Undelivered(f"{target.host} did not answer within {self._timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise Undelivered(f"{target.host}: {_reason(error)}") from error

    def close(self) -> None:
        """Let its connections go; the next call makes new ones."""
        if (client := self.__dict__.pop("_client", None)) is not None:
            client.close()

    def reach(self, url: str) -> str:
        """Whether the host can be spoken to, TLS included; the address it has. Sends nothing. Raises as `post` does."""
        import httpx

        target = httpx.URL(url)
        address, secure = self._address(target), target.scheme == "https"
        port = target.port or (443 if secure else 80)
        try:
            with socket.create_connection((address, port), self._timeout_s) as connection:
                if secure:
                    ssl.create_default_context().wrap_socket(connection, server_hostname=target.host).close()
        except OSError as error:
            raise Undelivered(f"{target.host}: {_reason(error)}") from error
        return address

    def _address(self, url: httpx.URL) -> str:
        """An address of the host that may be spoken to."""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Undelivered(f"{url.host} has no address") from error
        addresses = [str(entry[4][0]) for entry in found]
        allowed = [a for a in addresses if self._allow_private or _is_public(a)]
        if not allowed:
            raise Rejected(f"{url.host} is inside a private network; the option allow_private permits that")
        return allowed[0]


def host_of(url: str) -> str:
    """The part of an address that is no secret."""
    return urlsplit(url).hostname or ""


def judge(host: str, answer: Answer) -> None:
    """Nothing for 2xx; Undelivered for what may pass by itself; Rejected for what stays so."""
    status = answer.status
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise Rejected(f"{host} answered {status}: it is elsewhere, and redirects are not followed")
    if status in PASSING or status >= 500:
        raise Undelivered(f"{host} answered {status}", retry_after=retry_after(answer.headers.get("retry-after")))
    raise Rejected(f"{host} answered {status}")


def retry_after(value: str | None) -> float | None:
    """Seconds, from seconds or from an HTTP date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        seconds = float(value)
    else:
        try:
            then = email.utils.parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if then.tzinfo is None:
            then = then.replace(tzinfo=dt.UTC)
        seconds = (then - dt.datetime.now(dt.UTC)).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


def _head(response: httpx.Response, deadline: float, most: int) -> bytes:
    """The answer's beginning. A server that dribbles keeps every single read within its time, so the whole has one too."""
    import httpx

    head = b""
    for chunk in response.iter_raw():
        head += chunk
        if len(head) >= most:
            break
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer has no end")
    return head[:most]


def _reason(error: Exception) -> str:
    """The innermost cause's words; httpx's own are often empty."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    words = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return words or type(error).__name__
