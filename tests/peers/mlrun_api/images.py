"""The images of MLRun's own runner pods: the runner environments of this machine, with an `mlrun` that an old server can start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from service.domain.mlrun_versions import DEFAULT
from tests.peers.kubernetes import Image
from tests.peers.kubernetes.mlrun_images import mlrun_images
from tests.peers.mlrun_api.environment import VERSION

_PROGRAM = Path(__file__).with_name("runner_image.sh")
_PLACE = "/peer"


def runner_images(authority: Path | None = None) -> dict[str, Image]:
    """By their names. `authority` signed the certificate of the Git server that runners clone from.

    An image that has no tag gets the server's, of whose version there is no runner here: the default one stands for it.
    """
    files = {f"{_PLACE}/bin/mlrun": _PROGRAM.read_text()}
    environment = {"PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1", "GIT_TERMINAL_PROMPT": "0"}
    if authority is not None:
        files[f"{_PLACE}/authority.crt"] = authority.read_text()
        environment["GIT_SSL_CAINFO"] = f"{_PLACE}/authority.crt"
    images = {
        name: replace(image, files=files, env={**environment, "PATH": f"{_PLACE}/bin:{image.env['PATH']}"})
        for name, image in mlrun_images().items()
    }
    return images | {name.replace(DEFAULT, VERSION): image for name, image in images.items() if DEFAULT in name}
