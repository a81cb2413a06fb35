"""A small stand-in for kubelet: one node on which pods really run, and that misbehaves when a test tells it to.

    with Cluster() as cluster, Kubelet(cluster) as kubelet:
        kubelet.evict(namespace, pod)

It is a process of its own (`__main__`): `node` registers, beats and follows what the scheduler binds to it, `pod` is the
life of one pod, `process` and `podman` run containers, `logs` and `log_server` are what `kubectl logs` reads.
"""

from tests.peers.kubernetes.kubelet.handle import Kubelet
from tests.peers.kubernetes.kubelet.images import Image

__all__ = ["Image", "Kubelet"]
