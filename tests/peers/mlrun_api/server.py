"""The API server as a process: its settings, its database in a folder of its own, and its service account where it has a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx

from tests.peers.kubernetes import Cluster
from tests.peers.kubernetes.programs import Program, lasting_port
from tests.peers.mlrun_api.environment import obtain

_READY_S = 200.0
_ACCOUNT = "mlrun-api"
_ALL = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
_CORE = ["pods", "pods/log", "secrets", "configmaps", "serviceaccounts", "services", "events"]
# Without the last two, though nothing of theirs is here, runs are not watched.
_RULES = [
    {"apiGroups": [""], "resources": _CORE, "verbs": _ALL},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]},
    {
        "apiGroups": ["kubeflow.org", "sparkoperator.k8s.io"],
        "resources": ["*"],
        "verbs": ["get", "list", "watch", "delete"],
    },
]


class MlrunApi:
    """`.url` is its address. `settings` are variables of MLRun's (`MLRUN_...`) that go over ours.

    Kept over `stop` and `start`: its port and its database.
    """

    def __init__(
        self, cluster: Cluster | None = None, namespace: str = "", settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlrun-api-"))
        self._port = lasting_port()
        self.url = f"http://127.0.0.1:{self._port}"
        account = [] if cluster is None else [str(self._account(cluster, namespace))]
        environment = {**self._settings(), **(_in_cluster(cluster, namespace) if cluster else {}), **(settings or {})}
        words = [str(obtain()), "-W", "ignore", str(Path(__file__).with_name("program.py")), *account]
        self.program = Program(words, self.folder / "log", environment)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Returns when it says that it is well."""
        self.program.start_until(self.healthy, _READY_S, "the MLRun API server")

    def stop(self) -> None:
        """At once, as a crash would."""
        self.program.stop(signal.SIGKILL)

    def healthy(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/api/v1/healthz", trust_env=False, timeout=5)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK

    def _settings(self) -> dict[str, str]:
        (self.folder / "logs").mkdir()
        return {
            "PATH": os.environ["PATH"],
            # What pods call it by.
            "MLRUN_HTTPDB__API_URL": self.url,
            "HOME": str(self.folder),
            "NO_PROXY": "127.0.0.1,localhost",
            "MLRUN_HTTPDB__DSN": f"sqlite:///{self.folder}/mlrun.db?check_same_thread=false",
            "MLRUN_HTTPDB__PORT": str(self._port),
            "MLRUN_HTTPDB__DIRPATH": str(self.folder),
            "MLRUN_HTTPDB__LOGS_PATH": str(self.folder / "logs"),
            "MLRUN_ARTIFACT_PATH": f"{self.folder}/artifacts/{{{{project}}}}",
            "MLRUN_IS_API_SERVER": "true",
            "MLRUN_IGNORE_ENV_FILE": "true",
            "MLRUN_HTTPDB__SCHEDULING__MIN_ALLOWED_INTERVAL": "1 minute",
        }

    def _account(self, cluster: Cluster, namespace: str) -> Path:
        """The files of its service account, which may what MLRun's chart lets it."""
        folder = self.folder / "serviceaccount"
        folder.mkdir(mode=0o700)
        (folder / "token").write_text(cluster.service_account_token(namespace, _ACCOUNT))
        (folder / "ca.crt").write_bytes(cluster.authority.certificate.read_bytes())
        (folder / "namespace").write_text(namespace)
        group, meta = "rbac.authorization.k8s.io", {"name": _ACCOUNT, "namespace": namespace}
        cluster.apply(
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": _RULES},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": meta,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": _ACCOUNT},
                "subjects": [{"kind": "ServiceAccount", **meta}],
            },
        )
        return folder


def _in_cluster(cluster: Cluster, namespace: str) -> dict[str, str]:
    address = urlsplit(cluster.server)
    return {
        "KUBERNETES_SERVICE_HOST": str(address.hostname),
        "KUBERNETES_SERVICE_PORT": str(address.port),
        "MLRUN_NAMESPACE": namespace,
        # Without a kind of volume to mount, a run that is to start at once is refused for want of a session.
        "MLRUN_STORAGE__AUTO_MOUNT_TYPE": "env",
        "MLRUN_STORAGE__AUTO_MOUNT_PARAMS": "MLRUN_PEER=1",
        # An SDK from 1.9 on looks for a project's secrets under their own names.
        "MLRUN_SECRET_STORES__KUBERNETES__ENV_VARIABLE_PREFIX": "",
        "MLRUN_RUNS_MONITORING_INTERVAL": "5",
    }
