"""Everything that a remote workflow needs, at one place: MLRun's API, a cluster for its pods, a Git server over HTTPS."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.git_http import GitServer
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.kubernetes.pki import Authority
from tests.peers.mlrun_api.client import MlrunClient
from tests.peers.mlrun_api.images import runner_images
from tests.peers.mlrun_api.server import MlrunApi

# As GitLab's begin: MLRun shows such a token as the password of `oauth2`.
GIT_USER, GIT_TOKEN = "oauth2", "glpat-of-the-peers-git"
_SDK = Path(__file__).with_name("sdk.py")
_SDK_S = 240.0


@dataclass(frozen=True)
class MlrunPlace:
    """`forge` has private and public repositories; `authority` signed its certificate."""

    api: MlrunApi
    client: MlrunClient
    cluster: Cluster
    kubelet: Kubelet
    namespace: str
    forge: GitServer
    authority: Path

    @property
    def trust(self) -> dict[str, str]:
        """The variables by which git trusts the forge."""
        return {"GIT_SSL_CAINFO": str(self.authority)}

    def source(self, repository: str, branch: str = "main") -> str:
        """As MLRun writes it."""
        return f"{self.forge.url.replace('https:', 'git:', 1)}/{repository}.git#refs/heads/{branch}"

    def pods(self) -> list[Any]:
        return self.cluster.api.items(f"/api/v1/namespaces/{self.namespace}/pods")

    def sdk(
        self, python: Path, *steps: dict[str, Any], environment: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """What came of each step that MLRun's SDK took, on the `python` of a runner environment."""
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.api.folder),
            "PYTHONWARNINGS": "ignore",
            "MLRUN_DBPATH": self.api.url,
            **self.trust,
            **(environment or {}),
        }
        done = subprocess.run(
            [python, _SDK, json.dumps(steps)], env=given, capture_output=True, text=True, timeout=_SDK_S, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        lines = [line for line in done.stdout.splitlines() if line.startswith("SDK ")]
        return [json.loads(line.removeprefix("SDK ")) for line in lines]


@contextmanager
def mlrun_place(cluster: Cluster, kubelet: Kubelet, folder: Path) -> Iterator[MlrunPlace]:
    """In a namespace of its own; what it taught the node is forgotten afterwards."""
    authority = Authority(folder / "pki")
    served = authority.issue("git", "git", hosts=("127.0.0.1",))
    forge = GitServer(
        folder / "forge",
        user=GIT_USER,
        password=GIT_TOKEN,
        tls=(served.certificate, served.key),
        authority=authority.certificate,
    )
    kubelet.know(runner_images(authority.certificate))
    try:
        with forge, cluster.namespace("mlrun") as namespace, MlrunApi(cluster, namespace) as api:
            client = MlrunClient(api.url)
            try:
                yield MlrunPlace(api, client, cluster, kubelet, namespace, forge, authority.certificate)
            finally:
                client.close()
    finally:
        kubelet.mend()
