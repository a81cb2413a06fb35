"""A control plane of our own on loopback: etcd, API server, controller manager and scheduler, gone afterwards."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

import httpx

from tests.peers.kubernetes.api import Api, ApiError, Document, client_context
from tests.peers.kubernetes.control_plane import Binaries, present
from tests.peers.kubernetes.pki import Authority
from tests.peers.kubernetes.programs import Program, lasting_port

_READY_S = 90.0
# A node is unready after 10 s of silence instead of 40 s, and its pods are given up 5 s later instead of 5 min.
_NODE_SILENT_S = 10
_TOLERATED_S = 5
_GATES = "--feature-gates=TTLAfterFinished=true"
# As quick as the machine allows: by default a controller makes 20 requests a second, which is 4 Jobs a second.
_QPS = ("--kube-api-qps=1000", "--kube-api-burst=2000")


class Cluster:
    """`with Cluster() as cluster:` and `with cluster.namespace() as namespace:` for each test.

    To be made in a thread that lives as long as it does: the programs end with that thread.
    """

    def __init__(self, *apiserver_options: str) -> None:
        binaries = present()
        if binaries is None:
            raise FileNotFoundError("Kubernetes' control plane; make peers")
        self.folder = Path(tempfile.mkdtemp(prefix="k8s-"))
        # Pods of other users walk through it to their volumes.
        self.folder.chmod(0o711)
        self.authority = Authority(self.folder / "pki")
        self._port, self._etcd_port = lasting_port(), lasting_port()
        self.server = f"https://127.0.0.1:{self._port}"
        admin = self.authority.issue("admin", "admin", groups=("system:masters",))
        self.kubeconfig = self.authority.kubeconfig(self.folder / "kubeconfig", self.server, admin)
        self.api = Api(self.server, client_context(self.authority.certificate, admin))
        self.programs = self._programs(binaries, apiserver_options)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @contextmanager
    def namespace(self, prefix: str = "t", labels: dict[str, str] | None = None) -> Iterator[str]:
        """The name of a fresh namespace whose default service account is there; deleted afterwards, nobody waits for that."""
        name = f"{prefix}-{uuid4().hex[:8]}"
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        try:
            self.api.wait_for(
                f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda it: it.get("secrets"), _READY_S
            )
            yield name
        finally:
            try:
                self.api.delete(f"/api/v1/namespaces/{name}")
            except ApiError as error:
                if error.status not in (404, 409):
                    raise

    def service_account_token(self, namespace: str, name: str) -> str:
        """The lasting token of a service account, which is made where there is none."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        try:
            self.api.post(path, {"metadata": {"name": name}})
        except ApiError as error:
            if error.status != 409:
                raise
        account = self.api.wait_for(f"{path}/{name}", lambda it: it.get("secrets"))
        secret = self.api.get(f"/api/v1/namespaces/{namespace}/secrets/{account['secrets'][0]['name']}")
        return base64.b64decode(secret["data"]["token"]).decode()

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with that token, and the namespace as its default."""
        token = self.service_account_token(namespace, name)
        path = self.folder / f"{namespace}.{name}.kubeconfig"
        return self.authority.kubeconfig(path, self.server, token, namespace=namespace)

    def apply(self, *documents: Document) -> None:
        """Create what a test needs, wherever its kind lives; what is there stays as it is."""
        for document in documents:
            try:
                self.api.post(_path_of(document), document)
            except ApiError as error:
                if error.status != 409:
                    raise

    def stop_apiserver(self, number: int = signal.SIGKILL) -> None:
        """Connections are refused until `start_apiserver`; etcd keeps everything."""
        self.programs["apiserver"].stop(number)

    def start_apiserver(self) -> None:
        self.programs["apiserver"].start()
        self._wait("apiserver", f"{self.server}/readyz")
        self.api.wait_for("/api/v1/namespaces/default", lambda _: True)
        # As where they have lost their lease meanwhile: each of their watches would otherwise wait for up to a minute to be asked again.
        for name in ("controllers", "scheduler"):
            self.programs[name].stop(signal.SIGKILL)
            self.programs[name].start()

    def restart_apiserver(self) -> None:
        self.stop_apiserver()
        self.start_apiserver()

    def mend(self) -> None:
        """Start again what was stopped, and let go on what was paused."""
        for name, program in self.programs.items():
            if program.running:
                program.resume()
            elif name == "apiserver":
                self.start_apiserver()
            else:
                program.start()

    def _start(self) -> None:
        self.programs["etcd"].start()
        self._wait("etcd", f"http://127.0.0.1:{self._etcd_port}/health")
        self.programs["apiserver"].start()
        self._wait("apiserver", f"{self.server}/readyz")
        # Only now: they end where they find no server for 10 s, which on a busy machine is soon over.
        for name in ("controllers", "scheduler"):
            self.programs[name].start()
        # Pods are refused before the controller manager has made the service account they run as.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        try:
            self.api.wait_for(account, lambda it: it.get("secrets"), _READY_S)
        except AssertionError as error:
            raise RuntimeError(
                f"the controller manager did not start: {self.programs['controllers'].tail()}"
            ) from error

    def _end(self) -> None:
        for name in reversed(self.programs):
            self.programs[name].stop(signal.SIGKILL)  # nothing of it is kept
        self.api.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self, name: str, url: str) -> None:
        program, context = self.programs[name], client_context(self.authority.certificate, None)
        deadline = time.monotonic() + _READY_S
        with httpx.Client(verify=context, trust_env=False, timeout=2) as http:
            while True:
                try:
                    if http.get(url).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                if not program.running or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} did not start: {program.tail()}")
                time.sleep(0.05)

    def _programs(self, binaries: Binaries, options: tuple[str, ...]) -> dict[str, Program]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        arguments = {
            "etcd": [str(binaries.etcd), *self._etcd()],
            "apiserver": [str(binaries.apiserver), *self._apiserver(), *options],
            "controllers": [str(binaries.controllers), *self._controllers()],
            "scheduler": [str(binaries.scheduler), *self._client("scheduler", "system:kube-scheduler"), *_QPS],
        }
        return {name: Program(argv, self.folder / f"{name}.log", environment) for name, argv in arguments.items()}

    def _etcd(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{lasting_port()}"
        return [
            *("--name=peer", f"--data-dir={self.folder}/etcd", f"--listen-client-urls={client}"),
            *(f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"),
            *(f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=peer={peer}"),
            *("--logger=zap", "--log-level=warn", "--unsafe-no-fsync"),
        ]

    def _apiserver(self) -> list[str]:
        authority = self.authority
        serving = authority.issue(
            "apiserver",
            "kube-apiserver",
            hosts=("127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1"),
        )
        to_kubelet = authority.issue("to-kubelet", "apiserver-kubelet-client", groups=("system:masters",))
        return [
            *(f"--etcd-servers=http://127.0.0.1:{self._etcd_port}", "--bind-address=127.0.0.1"),
            *(f"--secure-port={self._port}", "--insecure-port=0", "--advertise-address=127.0.0.1"),
            *("--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16"),
            *(f"--tls-cert-file={serving.certificate}", f"--tls-private-key-file={serving.key}"),
            *(f"--client-ca-file={authority.certificate}", f"--cert-dir={self.folder}"),
            *(f"--service-account-key-file={authority.token_public}",),
            *(f"--service-account-signing-key-file={authority.token_key}",),
            *("--service-account-issuer=https://kubernetes.default.svc",),
            *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
            *(f"--default-not-ready-toleration-seconds={_TOLERATED_S}",),
            *(f"--default-unreachable-toleration-seconds={_TOLERATED_S}",),
            *(f"--kubelet-client-certificate={to_kubelet.certificate}", f"--kubelet-client-key={to_kubelet.key}"),
            *(f"--kubelet-certificate-authority={authority.certificate}",),
            *("--kubelet-preferred-address-types=InternalIP", "--allow-privileged=false", "--profiling=false", _GATES),
        ]

    def _controllers(self) -> list[str]:
        return [
            *self._client("controllers", "system:kube-controller-manager"),
            *(f"--service-account-private-key-file={self.authority.token_key}",),
            *(f"--root-ca-file={self.authority.certificate}", "--use-service-account-credentials=true"),
            "--node-eviction-rate=10",  # a node every 10 s otherwise
            *("--node-monitor-period=1s", f"--node-monitor-grace-period={_NODE_SILENT_S}s", _GATES, *_QPS),
        ]

    def _client(self, stem: str, name: str) -> list[str]:
        """What the scheduler and the controller manager have in common: no port, no election, who they are."""
        identity = self.authority.issue(stem, name)
        kubeconfig = self.authority.kubeconfig(self.folder / f"{stem}.kubeconfig", self.server, identity)
        return [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--port=0", "--secure-port=0"]


def _path_of(document: Document) -> str:
    group = document["apiVersion"]
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    namespace = document["metadata"].get("namespace")
    kind = document["kind"].lower()
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}{'es' if kind.endswith('s') else 's'}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
