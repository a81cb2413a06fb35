"""Jobs of Kubernetes: loads and runs as pods in the images of MLRun.

`launcher` has the verbs; `placing` makes a job's objects, `manifests` says how they look; `watch` fills the `view` of what the cluster has; `tending`
brings that into the store, by a `verdict` on what `pods` say, and sees to `errands` in the cluster; `logs` and `log_writer` keep what pods print.
"""

from service.launchers.kubernetes.check import Looked, check
from service.launchers.kubernetes.launcher import KubernetesLauncher

__all__ = ["KubernetesLauncher", "Looked", "check"]
