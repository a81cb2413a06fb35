"""The service, as one job's pod speaks to it over HTTP. Each call is one request that may be repeated.

Proxies are those that the pod's environment names (`NO_PROXY` holds), none otherwise. A redirect is not followed: the token is
for one address.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
from typing import Any, Callable, Dict, Iterator, Optional, Type, TypeVar

from .secret import Secret
from .words import say

T = TypeVar("T")

TIMEOUT_S = 30.0
# One answer: the job holds a resolved project, which takes 16 MiB at most.
ANSWER_BYTES = 64 * 1024 * 1024
FIRST_S, LONGEST_S = 0.5, 30.0
# So often the log says that the service is still not to be had.
SAY_S = 60.0
# So long it may be that nobody knows the job or its token: a proxy is being set up, or a store is being put back.
STRANGER_S = 300.0
CLAIMER = "Gitops-Claimer"


class UnavailableError(Exception):
    """Nobody answered, or somebody who may answer better later; `after_s` is when, if it was said."""

    def __init__(self, what: str, after_s: float = 0.0) -> None:
        super().__init__(what)
        self.after_s = after_s


class StrangerError(UnavailableError):
    """The job, or its token, is not known. The service means that for good, but others say so too, for a moment."""


class RefusedError(Exception):
    """The service's last word on this request: it is not to be repeated."""


class OverError(RefusedError):
    """The job has ended or is to end, or has not been known for a while."""


class TakenError(RefusedError):
    """Somebody else claimed the job."""


class TooLargeError(RefusedError):
    """The service keeps no more of this."""


_REFUSALS: Dict[int, Type[Exception]] = {401: StrangerError, 409: TakenError, 410: OverError, 413: TooLargeError}


class Service:
    def __init__(self, secret: Secret) -> None:
        self._base = f"{secret.url}/runner/v1/jobs/{secret.job}/"
        self._token = secret.token
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=_trust(secret.ca)), _NoRedirect()
        )

    def job(self) -> Any:
        document = self._ask("GET", "job")
        if not isinstance(document.get("job"), dict):
            raise UnavailableError("job was answered with something else")
        return document

    def claim(self, claimer: str, found: Any) -> int:
        """How many events the job has."""
        return _lines(self._ask("POST", "claim", {"claimer": claimer, "found": found}))

    def events(self, claimer: str, since: int, lines: Any) -> int:
        """Likewise."""
        said = [line.decode("utf-8", "replace") for line in lines]
        return _lines(self._ask("POST", "events", {"claimer": claimer, "since": since, "lines": said}))

    def result(self, claimer: str, data: bytes) -> None:
        self._ask("PUT", "result", data, {CLAIMER: claimer})

    def incompatible(self, faults: Any, found: Any, wanted: Any) -> None:
        self._ask("POST", "incompatible", {"faults": faults, "found": found, "wanted": wanted})

    @contextlib.contextmanager
    def source(self, headers: Any) -> Iterator[Any]:
        """The response, to be read piece by piece."""
        with self._open("GET", "source", None, headers) as response:
            yield response

    def _ask(self, method: str, what: str, body: Any = None, headers: Any = None) -> Any:
        """The object in the answer; one that was cut off, or is a proxy's, is none of the service's."""
        with self._open(method, what, body, headers or {}) as response:
            if response.status == 204:
                return {}
            data = response.read(ANSWER_BYTES)
        try:
            answer = json.loads(data.decode("utf-8"))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise UnavailableError(f"{what} was answered with half an answer, or with something else")
        return answer

    @contextlib.contextmanager
    def _open(self, method: str, what: str, body: Any, headers: Any) -> Iterator[Any]:
        """Everything that goes wrong, also while the answer is read, as one of our errors."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode("ascii")
        request = urllib.request.Request(self._base + what, data=data, method=method, headers=headers)
        request.add_header("Authorization", "Bearer " + self._token)
        if data is not None:
            kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
            request.add_header("Content-Type", kind)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                yield response
        except urllib.error.HTTPError as exc:
            with exc:
                raise _refusal(exc, what) from None
        except (OSError, http.client.HTTPException) as exc:  # URLError is an OSError
            reason = getattr(exc, "reason", None) or exc
            raise UnavailableError(f"{self._base + what} does not answer: {reason}") from None


class Patience:
    """Repeats what could not be answered, ever more slowly and never in step with other pods, until `until` (monotonic)."""

    def __init__(self, until: Callable[[], float], stop: Optional[threading.Event] = None) -> None:
        self._until = until
        self._stop = stop or threading.Event()

    def ask(self, question: Callable[[], T]) -> T:
        """Raises RefusedError, and UnavailableError once patience has ended or is not wanted any more."""
        tries, said = 0, -SAY_S
        strange_until = None
        while True:
            try:
                return question()
            except UnavailableError as exc:
                strange_until = _strange_until(exc, strange_until)
                pause = min(LONGEST_S, FIRST_S * 2 ** min(tries, 10)) * random.uniform(0.5, 1.0)
                pause = max(pause, min(exc.after_s, LONGEST_S) * random.uniform(0.5, 1.0))
                left = self._until() - time.monotonic()
                if left <= 0 or self._stop.wait(min(pause, left)):
                    raise
                tries += 1
                if time.monotonic() - said >= SAY_S:
                    said = time.monotonic()
                    say(f"{exc}; asks again")


def _strange_until(error: UnavailableError, until: Optional[float]) -> Optional[float]:
    """Until when (monotonic) it may be that we are not known; None when that is not what was said. Raises OverError after that."""
    if not isinstance(error, StrangerError):
        return None
    if until is not None and time.monotonic() >= until:
        raise OverError(f"the service has not known it for {STRANGER_S:.0f} s: {error}") from None
    return until or time.monotonic() + STRANGER_S


def _lines(answer: Any) -> int:
    count = answer.get("lines")
    if not isinstance(count, int):
        raise UnavailableError("the answer does not say how many lines there are")
    return count


def _refusal(error: Any, what: str) -> Exception:
    """410 and its like are final; anything else, a proxy's words too, may be better later."""
    said = _said(error)
    kind = _REFUSALS.get(error.code)
    if kind is not None:
        return kind(said)
    after = error.headers.get("Retry-After", "")
    return UnavailableError(f"{what} was answered {error.code}: {said}", float(after) if after.isdigit() else 0)


def _said(error: Any) -> str:
    try:
        return str(json.loads(error.read(65536).decode("utf-8"))["detail"])[:1000]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return str(error.reason)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _trust(ca: Optional[str]) -> ssl.SSLContext:
    """The authority of the secret alone, else the system's, else, where the image has none, those that MLRun brings."""
    context = ssl.create_default_context(cafile=ca)
    if not ca and not context.cert_store_stats()["x509_ca"]:
        with contextlib.suppress(ImportError, OSError):
            context.load_verify_locations(importlib.import_module("certifi").where())
    return context
