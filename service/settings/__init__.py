"""Typed settings: one YAML file, overridden by `GITOPS_*`; every secret also as a file.

`load_settings` is the front door; it gives frozen `Settings` or raises SettingsError, which names each wrong key, its
value and the mend. Unknown keys are errors. `forget_secrets` clears the environment of what was read.
"""

from service.settings.environment import forget_secrets
from service.settings.kubernetes import Kubernetes
from service.settings.load import load_settings, secret_files
from service.settings.model import (
    Auth,
    LauncherSettings,
    Mlrun,
    Policy,
    Schedules,
    Server,
    Settings,
    Store,
    Token,
)
from service.settings.notify import HandlerSettings, Subscription
from service.settings.problems import Problem
from service.settings.repositories import Credentials, Forge, Hook, Repository
from service.settings.section import Secrets

__all__ = [
    "Auth",
    "Credentials",
    "Forge",
    "HandlerSettings",
    "Hook",
    "Kubernetes",
    "LauncherSettings",
    "Mlrun",
    "Policy",
    "Problem",
    "Repository",
    "Schedules",
    "Secrets",
    "Server",
    "Settings",
    "Store",
    "Subscription",
    "Token",
    "forget_secrets",
    "load_settings",
    "secret_files",
]
