"""MLRun's images in process mode: the runner environments of this machine under the names of the images they stand for."""

from __future__ import annotations

from service.domain.mlrun_versions import SUPPORTED
from service.errors import RunnerEnvironmentError
from service.launchers.process.environment import is_installed, planned
from tests.peers.kubernetes.kubelet.images import Image
from tests.peers.present import settings_for

_NAMES = ("mlrun/mlrun-kfp", "mlrun/mlrun")
_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def mlrun_images() -> dict[str, Image]:
    """Of each supported version whose environment is installed, whatever suffix the tag has."""
    found: dict[str, Image] = {}
    for version in SUPPORTED:
        settings = settings_for(version)
        try:
            if not is_installed(settings):
                continue
            environment, _ = planned(settings, fetch=False)
        except RunnerEnvironmentError:
            continue
        image = Image(env={"PATH": f"{environment.root}/bin:{_SYSTEM}"}, workdir="/mlrun")
        for name in _NAMES:
            found |= {f"{registry}{name}:{version}*": image for registry in ("", "docker.io/")}
    return found
