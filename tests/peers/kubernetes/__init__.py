"""A real Kubernetes on loopback: the control plane is Kubernetes 1.20.2 itself, the node is a stand-in that runs pods as processes.

    pytestmark = pytest.mark.kubernetes

    def test_x(cluster, kubelet, namespace):
        cluster.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one", "namespace": namespace}, ...})
        cluster.api.wait_for(f"/apis/batch/v1/namespaces/{namespace}/jobs/one", lambda job: job["status"].get("succeeded"))

The fixtures are in `fixtures.py`: `cluster`, `kubelet`, `namespace` for tests; `shared_cluster` and `shared_kubelet` for fixtures of a session.
Without pytest: `with Cluster() as cluster, Kubelet(cluster) as kubelet, cluster.namespace() as namespace:`.

`Cluster`: `.server`, `.kubeconfig` (the administrator's), `.service_account_kubeconfig(namespace, name)` and `.service_account_token(...)` (the
account is made where there is none; its rights are yours to give), `.api` (`Api`: plain paths and documents, `wait_for`), `.apply(*documents)`,
`.stop_apiserver()`, `.start_apiserver()`, `.restart_apiserver()` (the port stays), `.programs["apiserver"].pause()` and `.resume()`
(connections that say nothing), `.mend()`. `account.make_account(cluster, namespace)` makes the account that our chart gives the service;
`meddler.Meddler(cluster)` stands between a client and the API server, counts, and spoils what a test names.

`Kubelet`: process mode knows the image `registry.test/shell:1` (the programs of this machine) and, with the fixture, MLRun's images of the
runner environments that are installed (`mlrun/mlrun-kfp:1.9.2`, `docker.io/mlrun/mlrun:1.9.2-py39`, ...); `know({name: Image(...)})` adds some, and any
other image can't be pulled. It misbehaves by `.stop()`/`.start()` (the node falls silent), `.hold()`/`.release()` (pods
stay in ContainerCreating), `.evict(namespace, pod)`, `.lose(namespace, pod)`, `.run_out_of_memory(namespace, pod)`, `.kill(namespace, pod)`, `.make_unpullable(image)`; `.mend()`
ends it all. `.pids(namespace, pod)` and `.running()` look.

A container in process mode is a process of this machine with this machine's files below a layer of its own, its volumes mounted,
its user, groups and capabilities as the pod says, process 1 of its namespace; the network is the machine's, so pods reach what tests serve on
loopback, and two pods can't serve at the same port. A Service's name leads to this machine, too. Images `localhost/...` are run by podman where it
is here (`tests.peers.containers`); the shared node is told where its images are. `tools` has kubectl and helm. `kubelet.rules` says what else is and is not as in a real node.
"""

from tests.peers.kubernetes.api import Api, ApiError
from tests.peers.kubernetes.cluster import Cluster
from tests.peers.kubernetes.kubelet import Image, Kubelet

__all__ = ["Api", "ApiError", "Cluster", "Image", "Kubelet"]
