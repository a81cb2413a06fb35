"""What the released SDKs are asked, by the recorder and by the tests: people's images, ours, versions, Pythons, registries."""

from __future__ import annotations

from service.domain.images import DOCKER_HUB, Asked, Images
from service.domain.mlrun_versions import SUFFIX

# A release → the Python to ask it on.
SDKS = {"1.8.0": "3.9", "1.9.2": "3.9", "1.10.4": "3.9", "1.11.0": "3.11", "1.12.1": "3.11"}
# What a client says of itself.
VERSIONS = ("1.7.2", "1.8.0", "1.9.0", "1.9.2", "1.10.4", "1.11.0", "1.12.1")
PYTHONS = ("3.9.18", "3.10.13", "3.11.9", None)
MIRROR = "registry.example.com:5000/mirror"
REGISTRIES = ("", f"{MIRROR}/")

DIGEST = "sha256:" + "0f" * 32
# As people write them.
WRITTEN_BY_PEOPLE = (
    "mlrun/mlrun",
    " mlrun/mlrun ",
    "mlrun/mlrun-kfp",
    "mlrun/mlrun-gpu",
    "mlrun/ml-base",
    "mlrun/mlrun:1.9.2",
    "mlrun/mlrun:1.9.2-py39",
    "mlrun/mlrun-kfp:1.9.2",
    "mlrun/mlrun-kfp:1.10.4-py39",
    "mlrun/ml-base:1.9.2",
    "mlrun/ml-base:1.10.4",
    f"mlrun/mlrun@{DIGEST}",
    f"mlrun/mlrun:1.9.2@{DIGEST}",
    "quay.io/mlrun/mlrun",
    "registry.example.com:5000/mlrun/mlrun",
    "registry.example.com:5000/mlrun/mlrun-kfp:1.10.4",
    "acme/mlrun/trainer",
    "ghcr.io/acme/trainer",
    "ghcr.io/acme/trainer:7",
    f"ghcr.io/acme/trainer@{DIGEST}",
    ".mlrun/func-demo-train:latest",
    "python",
    "python:3.9",
    "python:3.11",
)
# MLRun's function completes this one for everybody; it is no image of MLRun's, so it is not ours to write.
LEFT_TO_MLRUN = ("python",)


def written(version: str) -> list[str]:
    """Every image that we write for an MLRun of that version, whatever the settings and whatever people wrote."""
    found: set[str] = set()
    for registry in (DOCKER_HUB, MIRROR):
        for suffix in (SUFFIX, "-3.9"):
            images = Images(version=version, registry=registry, suffix=suffix)
            found.add(images.runner(Asked()).image)
            for text in WRITTEN_BY_PEOPLE:
                found.add(images.runner(Asked(workflow=text)).image)
                found |= {images.function(text, python) for python in images.row.functions}
    return sorted(found)


def asked(version: str) -> list[str]:
    """What an SDK is asked about for a client of that version."""
    return sorted({*WRITTEN_BY_PEOPLE, *written(version)})
