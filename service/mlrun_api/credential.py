"""How the service shows the MLRun API who it is: not at all, by a token, or by an access key, each as MLRun's own SDK does.

A bearer token is a header. An access key of the Iguazio platform is the session of its owner, which the SDK sends as a
cookie; where the platform is reached from outside it wants user and key as Basic (1.9.2 `mlrun/db/httpdb.py` api_call,
`mlrun/platforms/iguazio.py` add_or_refresh_credentials).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from service.settings import Mlrun


def headers(settings: Mlrun) -> dict[str, str]:
    """What every request carries to be let in."""
    if settings.token:
        return {"authorization": f"Bearer {settings.token.get_secret_value()}"}
    if settings.access_key is None:
        return {}
    key = settings.access_key.get_secret_value()
    if settings.username is None:
        return {"cookie": f'session=j:{{"sid": "{key}"}}'}
    return {"authorization": f"Basic {_basic(settings.username, key)}"}


def secrets(settings: Mlrun) -> Iterator[str]:
    """What must not be seen in any text, however it was written into a request."""
    if settings.token:
        yield settings.token.get_secret_value()
    if settings.access_key:
        key = settings.access_key.get_secret_value()
        yield key
        yield _basic(settings.username or "", key)


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()
