"""The chart as a team of operators has it in their cluster: a release, its one pod, and what is there because of it."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.stage import LONG_S
from tests.integration.chart.cluster import Operator
from tests.integration.chart.helm import RELEASE, Document, RefusedError, over
from tests.peers.forge import SECRET as WEBHOOK_SECRET
from tests.peers.git_http import GitServer
from tests.peers.kubernetes import ApiError, Cluster, Kubelet
from tests.peers.kubernetes.programs import lasting_port
from tests.peers.recorder import SECRET as HANDLER_SECRET
from tests.peers.recorder import Recorder
from tests.peers.service_api import ServiceApi
from tests.peers.service_process import wait_for

NAME = f"{RELEASE}-mlrun-gitops"
# Of nobody in any image.
USER = 54321
_FILES = "/etc/mlrun-gitops/secrets"


class Release(ServiceApi):
    """The service by its API, which begins when it is installed. `operator` is who has helm."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet, namespace: str, image: str, folder: Path) -> None:
        self.port = lasting_port()
        self.token = secrets.token_urlsafe(24)
        super().__init__(f"http://127.0.0.1:{self.port}", self.token, answer_s=LONG_S)
        self.cluster, self.kubelet, self.namespace = cluster, kubelet, namespace
        self.runners = f"{namespace}-runners"
        self.operator = Operator(cluster, namespace, "37", folder)
        self._image, self._data = image, folder / "data"

    def values(self, forge: GitServer, names: tuple[str, ...]) -> Document:
        """What an operator writes. Pods have the machine's network and nobody forwards ports, so all ports are such that nobody has."""
        repository, _, tag = self._image.rpartition(":")
        account = {"webhook_secrets_file": f"{_FILES}/forge/webhook", "poll": 0}
        login = {"username": forge.user, "token_file": f"{_FILES}/forge/token"}
        return {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "auth": {"existingSecret": "gitops-tokens", "tokens": ["admin"]},
            "secrets": {"forge": {"existingSecret": "gitops-forge"}, "listener": {"existingSecret": "gitops-listener"}},
            "runner": {"namespaces": [self.runners], "createNamespaces": True},
            "containerPort": self.port,
            "healthPort": lasting_port(),
            "service": {"port": self.port},
            "config": {
                "mlrun": {"images_registry": "localhost"},
                "policy": {"images": ["localhost/mlrun/mlrun-kfp:*"]},
                "repositories": [
                    {"name": name, "url": forge.repositories[name].url, "credentials": login, **account}
                    for name in names
                ],
                "handlers": {
                    "listener": {
                        "kind": "webhook",
                        "url_file": f"{_FILES}/listener/url",
                        "secret_file": f"{_FILES}/listener/secret",
                        "allow_private": True,
                    }
                },
                "notify": [{"to": "listener"}],
                "launcher": {
                    "load_timeout": "2m",
                    "concurrency": 2,
                    "kubernetes": {"image_pull_policy": "Never", "run_as_user": USER, "fs_group": USER},
                },
            },
        }

    def secrets(self, forge: GitServer, recorder: Recorder) -> list[Document]:
        """What the operator puts into the cluster by hand."""
        held = {
            "gitops-tokens": {"admin": self.token},
            "gitops-forge": {"webhook": WEBHOOK_SECRET, "token": forge.password},
            "gitops-listener": {"url": recorder.url, "secret": HANDLER_SECRET},
        }
        return [
            {"apiVersion": "v1", "kind": "Secret", "metadata": self._named(name), "stringData": data}
            for name, data in held.items()
        ]

    @contextmanager
    def volume(self) -> Iterator[None]:
        """The disk that the cluster has for the claim of the release."""
        self._data.mkdir()
        claim = {"namespace": self.namespace, "name": f"{NAME}-data"}
        name = f"{self.namespace}-data"
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "capacity": {"storage": "10Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "claimRef": claim,
                    "hostPath": {"path": str(self._data)},
                },
            }
        )
        try:
            yield
        finally:
            self.cluster.api.delete(f"/api/v1/persistentvolumes/{name}")

    def install(self, values: Document) -> None:
        self.operator.install(values)
        self.wait_ready()

    def upgrade(self, *values: Document) -> None:
        """Returns when helm has: the old pod may still be there."""
        self.operator.upgrade(over(*values))

    def remove(self) -> None:
        """Whatever a test has left of it, and wait until its pods have let go of their volumes."""
        self.kubelet.mend()
        with suppress(RefusedError):
            self.operator.uninstall()
        wait_for(lambda: not self._pods_of_all(), LONG_S, lambda: f"pods to go: {self._pods_of_all()}")

    def wait_ready(self) -> None:
        """The one pod that the Deployment wants now serves."""
        wait_for(self._is_rolled_out, LONG_S, lambda: f"the release's pod:\n{self.describe()}")
        assert self.ready(), self.tail()

    def pods(self) -> list[Document]:
        """Of the service; one that is going is still there."""
        labels = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=service"
        return self.cluster.api.items(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=labels)

    def tail(self, size: int = 4000) -> str:
        return self.log()[-size:]

    def log(self) -> str:
        """What its pods printed, also before a restart."""
        parts = []
        for pod in self.pods():
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/log"
            for previous in ("true", "false"):
                try:
                    parts.append(self.cluster.api.text(path, previous=previous))
                except (ApiError, httpx.TransportError):
                    continue  # it has none
        return "".join(parts)

    def describe(self) -> str:
        """For somebody who has to find out why."""
        states = [(pod["metadata"]["name"], pod["status"]) for pod in self.pods()]
        events = self.cluster.api.items(f"/api/v1/namespaces/{self.namespace}/events")
        return f"{states}\n{[event['message'] for event in events][-10:]}\n{self.tail()}"

    def everything(self) -> str:
        """All that is in its namespaces but what Secrets hold, as people who may look at pods see it; and what it prints and answers."""
        kinds = ("pods", "configmaps", "events", "services", "serviceaccounts", "persistentvolumeclaims")
        paths = [f"/api/v1/namespaces/{space}/{kind}" for space in (self.namespace, self.runners) for kind in kinds]
        paths += [f"/apis/batch/v1/namespaces/{self.runners}/jobs"]
        paths += [f"/apis/apps/v1/namespaces/{self.namespace}/{kind}" for kind in ("deployments", "replicasets")]
        answers: list[Any] = [self.all(path) for path in ("/runs", "/syncs", "/deliveries", "/notifications", "/audit")]
        answers += [self.get(f"/runs/{run['id']}/{what}") for run in self.all("/runs") for what in ("events", "log")]
        seen = [self.cluster.api.get(path) for path in paths]
        return json.dumps(seen) + json.dumps(answers) + self.log()

    def secret_words(self) -> set[str]:
        """What nobody may see: the operator's secrets, and the token of each job."""
        held = [
            secret
            for space in (self.namespace, self.runners)
            for secret in self.cluster.api.items(f"/api/v1/namespaces/{space}/secrets")
            if secret["type"] == "Opaque"
        ]
        files = {f"{it['metadata']['name']}/{name}": data for it in held for name, data in it["data"].items()}
        told = {name: data for name, data in files.items() if not name.endswith(("/id", "/url", "listener/url"))}
        return {*told.values(), *(base64.b64decode(data).decode() for data in told.values())}

    def pods_of(self, project: str) -> list[Document]:
        """The runners' pods of a project."""
        labels = f"mlrun-gitops.io/project={project}"
        return self.cluster.api.items(f"/api/v1/namespaces/{self.runners}/pods", labelSelector=labels)

    def _is_rolled_out(self) -> bool:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAME}"
        deployment = self.cluster.api.get(path)
        status = deployment["status"]
        current = status.get("observedGeneration") == deployment["metadata"]["generation"]
        counts = [status.get(name) for name in ("replicas", "updatedReplicas", "readyReplicas")]
        return current and counts == [1, 1, 1] and len(self.pods()) == 1 and self.ready()

    def _pods_of_all(self) -> list[str]:
        spaces = (self.namespace, self.runners)
        found = [pod for space in spaces for pod in self.cluster.api.items(f"/api/v1/namespaces/{space}/pods")]
        return [pod["metadata"]["name"] for pod in found]

    def _named(self, name: str) -> Document:
        return {"name": name, "namespace": self.namespace}
