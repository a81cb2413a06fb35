"""Runs by MLRun's own workflow runner: submitted through its API, followed in its database.

`launcher` has the verbs; `order` is what a run asks of MLRun; `submitting` sees to it that a run is submitted once, and looks up what
was not answered; `following` brings into the store what MLRun's database says of each, with its log.
"""

from service.launchers.mlrun.launcher import MlrunLauncher
from service.launchers.mlrun.order import LAUNCHER

__all__ = ["LAUNCHER", "MlrunLauncher"]
