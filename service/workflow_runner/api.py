"""MLRun's API as a job may use it: with the runner's own credential, and in a `load` only to read.

The client is MLRun's own. It would take its credential from the environment, where whatever the project's code prints of itself
would show it; so a token is put on each request, and an access key of the Iguazio platform is in the environment only while the
client looks for it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from typing import Any, Iterator

from .errors import WriteError
from .job import LOAD, Api

# Where MLRun's client looks for a credential of its API; V3IO_ACCESS_KEY would be one of the data as well.
VARIABLE = "MLRUN_AUTH_SESSION"
# The certificates that it trusts.
VERIFY = "MLRUN_HTTPDB__HTTP__VERIFY"

_READS = ("GET", "HEAD")
# The version that began to keep artifacts as clients from 1.6 on send them; an older one answers that there is no such address.
_ARTIFACTS_SINCE = (1, 6)


@contextlib.contextmanager
def shown(api: Api) -> Iterator[None]:
    """The credential is where MLRun's client looks for it, in this process and in the programs that it starts meanwhile."""
    if not api.token:
        yield
        return
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = api.token
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def client(api: Api, kind: str, folder: str) -> Any:
    """MLRun's client of `api`, for a job of that kind with this folder; nothing is asked yet."""
    import mlrun.db.httpdb

    bearer = {} if api.session or not api.token else {"Authorization": f"Bearer {api.token}"}

    class Client(mlrun.db.httpdb.HTTPRunDB):  # type: ignore[misc]  # mlrun is not typed
        """Every request goes through `api_call`."""

        def connect(self, secrets: Any = None) -> Any:
            with _found(api):  # some versions look for it again then
                return super().connect(secrets)

        def api_call(self, method: str, path: str, *arguments: Any, headers: Any = None, **options: Any) -> Any:
            if kind == LOAD and method.upper() not in _READS:
                raise WriteError(method.upper(), path)
            return super().api_call(method, path, *arguments, headers={**(headers or {}), **bearer}, **options)

    _trust(api, folder)
    with _found(api):
        return Client(api.url)


def looks_like_a_session(api: Api) -> bool:
    """Whether a client that is given the token, and nothing else, would not send it as one."""
    import mlrun.platforms.iguazio

    return not api.session and bool(mlrun.platforms.iguazio.is_iguazio_session(api.token))


def _found(api: Api) -> Any:
    """Only a session is for the client to send; of a token it might think that it is one, by its look."""
    return shown(api) if api.session else contextlib.nullcontext()


def _trust(api: Api, folder: str) -> None:
    """The authority's certificates besides those that are trusted anyway, in this process and in the programs that it starts."""
    if not api.ca:
        return
    import mlrun

    usual_ones = importlib.import_module("certifi").where()  # those that MLRun's client trusts by itself
    path = os.path.join(folder, "mlrun-ca.crt")
    with open(usual_ones, encoding="utf-8") as usual, open(path, "w", encoding="utf-8") as file:
        file.write(usual.read() + "\n" + api.ca)
    mlrun.mlconf.httpdb.http.verify = path
    os.environ[VERIFY] = path


def keeps_artifacts(connected: Any) -> bool:
    """Whether the server that `connected` is connected to takes artifacts from this client."""
    said = re.match(r"(\d+)\.(\d+)\.", connected.server_version or "")
    version = (int(said[1]), int(said[2])) if said else _ARTIFACTS_SINCE
    return version >= _ARTIFACTS_SINCE or version == (0, 0)  # 0.0.0 is what its developers call the newest
