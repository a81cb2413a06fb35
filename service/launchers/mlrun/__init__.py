"""Runs by MLRun's own workflow runner: submitted through its API, followed in its database.

`launcher` has the verbs; `order` is what a run asks of MLRun; `submitting` sees to it that a run is submitted once, and looks up what
was not answered; `following` looks after those that somebody follows, by `looking` at each: what MLRun's database says of it comes into the store,
with its log; `kubeflow` is what a runner started there.
"""

from service.launchers.mlrun.launcher import MlrunLauncher
from service.launchers.mlrun.order import LAUNCHER

__all__ = ["LAUNCHER", "MlrunLauncher"]
