"""A test's handle on the kubelet: starts it, tells it to misbehave, ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from tests.peers.kubernetes.api import ApiError
from tests.peers.kubernetes.cluster import Cluster
from tests.peers.kubernetes.kubelet.images import SHELL, Image
from tests.peers.kubernetes.programs import lasting_port

_ROOT = Path(__file__).parents[4]
_STOP_S = 15.0
# Large enough that only a test that asks for too much is refused.
_CAPACITY = {"cpu": "1000", "memory": "4Ti", "pods": "1000", "ephemeral-storage": "4Ti"}
_EVICTED = "The node was low on resource: memory. "


class Kubelet:
    """`with Kubelet(cluster) as kubelet:`; with a name of its own where a cluster has several.

    `images`: what process mode knows, besides `registry.test/shell:1`. `podman`: the environment in which podman finds the images
    `localhost/...`, which then are run by it (`tests.peers.containers.engine().environment`). To be made in a thread that lives as long as it does.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str = "node-0",
        images: Mapping[str, Image] | None = None,
        capacity: Mapping[str, str] | None = None,
        podman: Mapping[str, str] | None = None,
    ) -> None:
        self.cluster, self.name = cluster, name
        self._folder = Path(tempfile.mkdtemp(dir=cluster.folder, prefix=f"{name}-"))  # the name may come again
        self._folder.chmod(0o711)
        self._images = {**SHELL, **(images or {})}
        self._first_images = dict(self._images)
        self._unpullable: set[str] = set()
        self._capacity = {**_CAPACITY, **(capacity or {})}
        self._podman = {key: value for key, value in (podman or {}).items() if key.startswith("CONTAINERS_")}
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.log = self._folder / "kubelet.log"

    def __enter__(self) -> Self:
        who = f"system:node:{self.name}"
        authority, groups = self.cluster.authority, ("system:nodes",)
        client = authority.issue(self.name, who, groups=groups)
        serving = authority.issue(f"{self.name}-serving", who, groups=groups, hosts=("127.0.0.1", "localhost"))
        wish = {
            "server": self.cluster.server,
            "authority": str(authority.certificate),
            "client": [str(client.certificate), str(client.key)],
            "serving": [str(serving.certificate), str(serving.key)],
            "name": self.name,
            "port": lasting_port(),
            "folder": str(self._folder),
            "capacity": self._capacity,
            "images": {name: image.document() for name, image in self._images.items()},
            "podman": self._podman,
            "hidden": [str(self.cluster.folder)],
        }
        document = self._folder / "wish.json"
        document.write_text(json.dumps(wish))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    sys.executable,
                    "-m",
                    "tests.peers.kubernetes.kubelet",
                    str(document),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=_ROOT,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                start_new_session=True,
                text=True,
            )
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Its containers end with it, and the cluster forgets the node."""
        if (process := self._process) is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._process = None
        with contextlib.suppress(ApiError, httpx.TransportError):
            self.cluster.api.delete(f"/api/v1/nodes/{self.name}")

    def wait_ready(self) -> None:
        self.cluster.api.wait_for(f"/api/v1/nodes/{self.name}", _is_ready, 30)

    # --- misbehaving; `mend` ends it all

    def stop(self) -> None:
        """The node falls silent: no status, no heartbeat, no logs. What runs on it runs on.

        It is unready 10 s later. Its pods are given up after 5 s more, if there is another node that is ready: no cluster evicts
        from its last one.
        """
        self._tell("stop")

    def start(self) -> None:
        self._tell("start")

    def hold(self) -> None:
        """Pods stay in ContainerCreating until `release`."""
        self._tell("hold")

    def release(self) -> None:
        self._tell("release")

    def know(self, images: Mapping[str, Image]) -> None:
        """More images; what a name ends in `*` stands for all that begin so."""
        self._images |= images
        self._send_images()

    def forget(self, *images: str) -> None:
        """No longer known: they can't be pulled."""
        for name in images:
            self._images.pop(name, None)
        self._send_images()

    def make_unpullable(self, *images: str) -> None:
        """By their full names, also where the machine has them."""
        self._unpullable |= set(images)
        self._tell("unpullable", images=sorted(self._unpullable))

    def make_pullable(self, *images: str) -> None:
        self._unpullable -= set(images)
        self._tell("unpullable", images=sorted(self._unpullable))

    def mend(self) -> None:
        """As it was in the beginning."""
        self._images, self._unpullable = dict(self._first_images), set()
        self._send_images()
        self._tell("unpullable", images=[])
        self._tell("release")
        self._tell("start")
        self.wait_ready()

    def evict(self, namespace: str, pod: str, message: str = _EVICTED, *, bare: bool = False) -> None:
        """For lack of memory on the node. Returns when it is told. `bare`: as up to 1.21, no container is in the status any more."""
        self._tell("evict", namespace=namespace, name=pod, message=message, bare=bare)

    def lose(self, namespace: str, pod: str) -> None:
        """The node falls silent for good, and the pod's status says what controllers say of it: NodeLost."""
        self.stop()
        said = f"Node {self.name} which was running pod {pod} is unresponsive"
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/status"
        self.cluster.api.patch(path, {"status": {"reason": "NodeLost", "message": said}})

    def run_out_of_memory(self, namespace: str, pod: str, container: str | None = None) -> None:
        """The kernel kills the largest process of the container, which need not be its process 1."""
        self._tell("oom", namespace=namespace, name=pod, container=container)

    def kill(self, namespace: str, pod: str, container: str | None = None, number: int = signal.SIGKILL) -> None:
        """A signal to process 1 of a container, or of each: a crash."""
        self._tell("signal", namespace=namespace, name=pod, container=container, number=int(number))

    # --- looking

    def pids(self, namespace: str, pod: str) -> dict[str, int]:
        """Process 1 of each running container, by the machine's numbers (process mode)."""
        found: dict[str, int] = self._tell("pids", namespace=namespace, name=pod)
        return found

    def running(self) -> int:
        """How many pods have a container that runs."""
        count: int = self._tell("count")
        return count

    def _send_images(self) -> None:
        self._tell("images", images={name: image.document() for name, image in self._images.items()})

    def _tell(self, verb: str, **more: Any) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with self._lock:
            process.stdin.write(f"{json.dumps({'verb': verb, **more})}\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the kubelet is gone: {self.log.read_text()[-3000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise LookupError(answer["error"])
        return answer["answer"]


def _is_ready(node: dict[str, Any]) -> bool:
    """Ready, and no taint keeps pods away any more."""
    conditions = {one["type"]: one["status"] for one in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")
