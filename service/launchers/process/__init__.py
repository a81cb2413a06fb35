"""Jobs as processes on this machine: the launcher that needs nothing but a Python.

`launcher` has the verbs, `folder` a job's files, `keeper` what lives beside a job, `environment` the interpreter and
packages of the runner, `places` users and directories, `reading` what is read of a job.
"""

from service.launchers.process.environment import ensure_environment, is_installed, planned
from service.launchers.process.launcher import ProcessLauncher
from service.launchers.process.places import place

__all__ = ["ProcessLauncher", "ensure_environment", "is_installed", "place", "planned"]
