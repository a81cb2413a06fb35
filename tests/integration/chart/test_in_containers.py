"""The release at work: our image in the pods that the chart makes, as strict as they are, on a real control plane."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import make_url

from service.settings import Settings
from service.store import deliveries, open_store
from tests.integration.chart.cluster import Operator, eventually, present
from tests.integration.chart.helm import LEAST, POSTGRES, RELEASE, Document, RefusedError, over, run
from tests.peers.containers import engine
from tests.peers.containers.ours import ensure_ours
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.kubernetes.programs import lasting_port
from tests.peers.postgres import Postgres

# The first of them has the image built.
pytestmark = [
    pytest.mark.helm,
    pytest.mark.kubernetes,
    pytest.mark.container,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

TOKEN, SECRET = "an API token of the tests", "the secret of a webhook"
_READY = ("--wait", "--timeout", "300s")
_REPOSITORY = {
    "name": "fraud",
    "url": "https://git.example.com/ml/fraud.git",
    "forge": "generic",
    "webhook_secrets_file": "/etc/mlrun-gitops/secrets/forge/webhook",
    "poll": 0,
}


@pytest.fixture(scope="module")
def image() -> str:
    return ensure_ours(engine())


@dataclass
class Release:
    """What an operator has: helm, values, and an address. Pods have this machine's network, so each release has a port of its own."""

    operator: Operator
    values: Document
    port: int

    def install(self, *more: Document) -> str:
        return self.operator.install(self.values, *more, more=_READY)

    def upgrade(self, *more: Document) -> str:
        return self.operator.upgrade(self.values, *more, more=_READY)

    def test(self) -> str:
        where = ("--namespace", self.operator.namespace, "--kubeconfig", str(self.operator.cluster.kubeconfig))
        return run("test", RELEASE, "--timeout", "120s", "--logs", *where, version=self.operator.version)

    def push(self, name: str) -> str:
        """Tell the service of a push; the delivery's id."""
        commit = hashlib.sha1(name.encode()).hexdigest()
        body = json.dumps({"repository": "ml/fraud", "ref": "refs/heads/main", "after": commit}).encode()
        signature = f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
        headers = {"X-Signature-256": signature, "X-Delivery": name, "Content-Type": "application/json"}
        answer = self.ask("POST", "/webhooks/generic/fraud", content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["delivery"])

    def deliveries(self) -> set[str]:
        answer = self.ask("GET", "/api/v1/deliveries", headers={"Authorization": f"Bearer {TOKEN}"})
        return {it["id"] for it in answer.json()["items"]}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=10, **more)


@pytest.fixture
def volumes(cluster: Cluster) -> Iterator[Callable[[str, Path | None], str]]:
    """Volumes of the cluster on this machine's disk, by the name of the claim that is to get one; their group may write."""
    made: list[tuple[str, Path | None]] = []

    def make(claim: str, folder: Path | None = None) -> str:
        name = f"{claim}-{lasting_port()}"
        where = folder or Path(tempfile.mkdtemp(prefix="pv-"))
        if folder is None:
            where.chmod(0o777)
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "capacity": {"storage": "20Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": name,
                    "hostPath": {"path": str(where)},
                },
            }
        )
        made.append((name, where if folder is None else None))
        return name

    yield make
    for name, where in made:
        cluster.api.delete(f"/api/v1/persistentvolumes/{name}")
        if where is not None:
            shutil.rmtree(where, ignore_errors=True)


@contextmanager
def released(operator: Operator, image: str, values: Document) -> Iterator[Release]:
    repository, _, tag = image.rpartition(":")
    port = lasting_port()
    secrets = {"gitops-tokens": {"admin": TOKEN}, "gitops-forge": {"webhook": SECRET}}
    for name, data in secrets.items():
        metadata = {"name": name, "namespace": operator.namespace}
        operator.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    config = {"repositories": [_REPOSITORY], "server": {"internal_url": f"http://127.0.0.1:{port}"}}
    ours = {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "containerPort": port,
        "healthPort": lasting_port(),
        "secrets": {"forge": {"existingSecret": "gitops-forge"}},
        "config": config,
    }
    release = Release(operator, over(LEAST, ours, values), port)
    try:
        yield release
    finally:
        try:
            operator.uninstall()
        except RefusedError:
            pass  # a test did


@pytest.fixture
def operator(cluster: Cluster, kubelet: Kubelet, namespace: str, tmp_path: Path) -> Operator:
    return Operator(cluster, namespace, "37", tmp_path)


def pods(operator: Operator) -> list[Document]:
    return operator.cluster.api.items(f"/api/v1/namespaces/{operator.namespace}/pods")


def test_a_release_of_sqlite_serves_is_upgraded_and_rolled_back_and_loses_nothing(
    operator: Operator, image: str, volumes: Callable[[str, Path | None], str]
) -> None:
    before = set(present(operator.cluster.api, operator.namespace))
    values: Document = {"persistence": {"storageClass": volumes("data", None)}}
    with released(operator, image, values) as release:
        release.install()
        assert "good /readyz answers 200" in release.test()
        told = {release.push("one")}
        assert release.deliveries() == told
        release.upgrade({"config": {"server": {"threads": 7}}})
        told.add(release.push("two"))
        assert release.deliveries() == told
        operator.rollback(1)
        eventually(lambda: _answers(release), True)
        assert release.deliveries() == told
        # As the operator's guide keeps a store, with podman in the place of kubectl.
        in_pod(operator, "backup", "/var/lib/mlrun-gitops/copy.db")
        late = release.push("three")
        release.upgrade({"maintenance": True})
        in_pod(operator, "restore", "/var/lib/mlrun-gitops/copy.db")
        release.upgrade()
        assert release.deliveries() == told
        assert late not in told
        operator.uninstall()
        eventually(lambda: [it["metadata"]["name"] for it in pods(operator)], [])
        left = {
            key
            for key in set(present(operator.cluster.api, operator.namespace)) - before
            if key[0] != "persistentvolumes"
        }
        assert left == {("secrets", operator.namespace, name) for name in ("gitops-tokens", "gitops-forge")}


def in_pod(operator: Operator, *words: str) -> None:
    """Have `mlrun-gitops` do it in the container of the service."""
    [uid] = [it["metadata"]["uid"] for it in pods(operator) if not it["metadata"].get("deletionTimestamp")]
    [container] = engine().podman("ps", "--quiet", "--filter", f"name=k8s-{uid}").stdout.split()
    engine().podman("exec", container, "mlrun-gitops", *words)


def _answers(release: Release) -> bool:
    """Also that it is the only pod, and its rollout is over."""
    deployment = release.operator.cluster.api.get(
        f"/apis/apps/v1/namespaces/{release.operator.namespace}/deployments/gitops-mlrun-gitops"
    )
    status = deployment["status"]
    over_ = status.get("observedGeneration") == deployment["metadata"]["generation"]
    if not (over_ and status.get("updatedReplicas") == status.get("readyReplicas") == status.get("replicas") == 1):
        return False
    try:
        return release.ask("GET", "/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@pytest.mark.postgres
def test_a_release_of_postgres_is_brought_up_to_date_before_its_pods_start(
    operator: Operator, image: str, volumes: Callable[[str, Path | None], str]
) -> None:
    with Postgres() as server, server.database() as url:
        parts = make_url(url)
        socket = Path(str(parts.query["host"]))
        socket.chmod(0o755)
        inside = parts.set(query={"host": "/run/postgres"}).render_as_string(hide_password=False)
        metadata = {"name": "gitops-store", "namespace": operator.namespace}
        operator.cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"url": inside}},
            claim_of(operator, volumes("socket", socket)),
        )
        values = over(
            POSTGRES,
            {
                "extraVolumes": [{"name": "socket", "persistentVolumeClaim": {"claimName": "socket"}}],
                "extraVolumeMounts": [{"name": "socket", "mountPath": "/run/postgres"}],
            },
        )
        with released(operator, image, values) as release:
            with pytest.raises(RefusedError, match=r"pre-install|failed"):
                release.install({"store": {"postgresql": {"key": "wrong"}}, "migration": {"timeout": 5}})
            operator.uninstall()
            release.install()
            assert "good /readyz answers 200" in release.test()
            told = release.push("one")
            with closing(open_store(Settings.model_validate({"store": {"url": url}}))) as store, store.read() as seen:
                assert deliveries.get(seen, told)
            # The old pod serves until the new one does, and here they have one network.
            release.port = lasting_port()
            release.upgrade({"containerPort": release.port, "healthPort": lasting_port()})
            assert release.deliveries() == {told}
            jobs = operator.cluster.api.items(f"/apis/batch/v1/namespaces/{operator.namespace}/jobs")
            assert jobs == [], "the hook's Job is gone when it is done"


def claim_of(operator: Operator, storage: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "socket", "namespace": operator.namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
