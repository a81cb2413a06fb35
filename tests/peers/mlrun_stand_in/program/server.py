"""What the server says of itself."""

from __future__ import annotations

from typing import Any

import mlrun.utils.helpers

from tests.peers.mlrun_stand_in.program import builds
from tests.peers.mlrun_stand_in.program.state import Call, State

CLIENT_VERSION, CLIENT_PYTHON = "x-mlrun-client-version", "x-mlrun-client-python-version"


def health(state: State, _: Call) -> Any:
    return {"version": state.version, "status": "ok"}


def client_spec(state: State, call: Call) -> Any:
    """Images are named for the client that asks (1.5.2: api/crud/client_spec.py _resolve_image_by_client_versions)."""
    versions = call.headers.get(CLIENT_VERSION), call.headers.get(CLIENT_PYTHON)
    return {
        "version": state.version,
        "namespace": "mlrun",
        "docker_registry": builds.REGISTRY,
        "kfp_image": mlrun.utils.helpers.enrich_image_url(mlrun.mlconf.kfp_image, *versions),
        "kfp_url": "http://ml-pipeline.mlrun.svc:8888",
        "artifact_path": "s3://mlrun/projects/{{run.project}}/artifacts",
        "ce": {"mode": "full", "release": ""},
    }
