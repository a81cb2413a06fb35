"""What a runner is told of MLRun's API: its address, and the runner's own credential, never the service's.

A job document gets it last: where the document is written or answered, so that neither the store nor a manifest ever holds it.
"""

from __future__ import annotations

from service.domain.projects import Json
from service.errors import SettingsError
from service.settings import Mlrun, Settings


def tracking(settings: Settings) -> Json:
    """The fields that a job document has more: none where projects live in the store alone. Raises SettingsError."""
    mlrun = settings.mlrun
    if mlrun.api is None:
        return {}
    token = mlrun.runner_token.get_secret_value() if mlrun.runner_token else None
    # Of the same kind as the service's.
    session = mlrun.access_key is not None
    return {"mlrun": {"api": mlrun.api.rstrip("/"), "token": token, "session": session, "ca": _authority(mlrun)}}


def _authority(mlrun: Mlrun) -> str | None:
    """As text: a runner may be elsewhere, or may not read the file."""
    if mlrun.ca_bundle is None:
        return None
    try:
        return mlrun.ca_bundle.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        what = f"mlrun.ca_bundle: {mlrun.ca_bundle} holds no certificates that can be read"
        raise SettingsError(what, mend="name a file with certificates in PEM", detail=str(error)) from error
