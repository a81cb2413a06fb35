"""Our client to a server of a test."""

from __future__ import annotations

from service.mlrun_api import MlrunApi
from service.settings import Settings, load_settings


def settings_for(url: str, **mlrun: str) -> Settings:
    """The settings of a service whose `mlrun.api` is there; `mlrun` are more keys of that section."""
    keys = {"api": url, **mlrun}
    environ = {f"GITOPS_MLRUN__{key.upper()}": value for key, value in keys.items()}
    return load_settings(environ={**environ, "GITOPS_SERVER__INTERNAL_URL": "http://mlrun-gitops.example.com"})


def speak_to(url: str, **mlrun: str) -> MlrunApi:
    return MlrunApi(settings_for(url, **mlrun))
