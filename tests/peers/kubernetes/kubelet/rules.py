"""What the stand-in keeps to, as a table with the source of every row, and what it does not do.

Sources are pages of kubernetes.io (`docs: page, section`) and files of kubernetes/kubernetes and containerd/containerd
(`src: file`). `here` is the module that keeps to the rule; `differs` says where the stand-in is not like the real one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that kubelet, or the container runtime below it, does."""

    what: str
    source: str
    here: str
    differs: str = ""


RULES = (
    Rule(
        what="A node registers itself, renews a Lease and tells its status; the Node authorizer decides what it may read.",
        source="docs: concepts/architecture/nodes, Heartbeats; reference/access-authn-authz/node",
        here="node",
        differs="The Lease is renewed every 2 s instead of every 10 s, since the control plane here waits 10 s instead of 40 s.",
    ),
    Rule(
        what="The phase of a pod follows from the states of its containers and its restart policy, and never goes back.",
        source="src: pkg/kubelet/kubelet_pods.go, getPhase; docs: concepts/workloads/pods/pod-lifecycle, Pod phase",
        here="status",
    ),
    Rule(
        what="A volume that can't be made (a missing Secret) leaves the pod in ContainerCreating with events FailedMount.",
        source="src: pkg/kubelet/volumemanager/volume_manager.go; docs: concepts/storage/volumes, secret",
        here="pod",
    ),
    Rule(
        what="A missing Secret, ConfigMap or key of the environment, and root where runAsNonRoot is set: CreateContainerConfigError.",
        source="src: pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables; pkg/kubelet/kuberuntime/security_context.go",
        here="environment, configure",
    ),
    Rule(
        what="An image that can't be pulled: ErrImagePull, then ImagePullBackOff between tries; ErrImageNeverPull by policy.",
        source="src: pkg/kubelet/images/image_manager.go",
        here="pod",
        differs="1 to 4 s between tries instead of 10 s to 5 min. No registry is asked: the table of images says what can be pulled.",
    ),
    Rule(
        what="A command that does not exist: terminated with exit code 128, reason StartError, started in 1970.",
        source="src: containerd pkg/cri/server/container_start.go",
        here="process, pod",
    ),
    Rule(
        what="A process that a signal ends has exit code 128 + the signal's number; reason Completed for 0, else Error.",
        source="src: containerd pkg/cri/server/container_status.go",
        here="process, pod",
    ),
    Rule(
        what="Over the memory limit the kernel kills the largest process, which need not be process 1; the container's reason is OOMKilled "
        "once it ends, whatever its exit code.",
        source="src: containerd pkg/cri/server/events.go, TaskOOM; docs: concepts/configuration/manage-resources-containers",
        here="process",
        differs="Memory is looked at ten times a second (resident pages that no other process shares), and no cgroup limits it: what "
        "allocates fast may have more for a moment. With podman the kernel's own limit and counts are used.",
    ),
    Rule(
        what="Process 1 of a container gets no signal that it has not asked for, but SIGKILL from outside; when it ends, all processes of the container end.",
        source="man: pid_namespaces(7)",
        here="kernel",
    ),
    Rule(
        what="To end a pod: SIGTERM to process 1 of each container, the grace period, SIGKILL; the least grace is 2 s. Then the pod is deleted.",
        source="src: pkg/kubelet/kuberuntime/kuberuntime_container.go, killContainer; docs: concepts/workloads/pods/pod-lifecycle, Termination of Pods",
        here="pod, node",
        differs="No preStop hook.",
    ),
    Rule(
        what="After activeDeadlineSeconds the pod has failed: DeadlineExceeded, and is ended.",
        source="src: pkg/kubelet/active_deadline.go",
        here="pod",
    ),
    Rule(
        what="An evicted pod has failed: Evicted, with a sentence and an event; up to 1.21 its status has no containers any more.",
        source="src: pkg/kubelet/eviction/eviction_manager.go, evictPod; docs: concepts/scheduling-eviction/node-pressure-eviction",
        here="control",
        differs="On command only.",
    ),
    Rule(
        what="A container restarts by its pod's policy, at first at once, then after growing waits: CrashLoopBackOff.",
        source="docs: concepts/workloads/pods/pod-lifecycle, Container restart policy",
        here="pod, backoff",
        differs="1 to 8 s instead of 10 s to 5 min, and the wait is not reset by a long life.",
    ),
    Rule(
        what="What the container writes to its termination log, 4096 bytes at most, is its message; else by policy the end of its log.",
        source="docs: tasks/debug/debug-application/determine-reason-pod-failure; src: pkg/kubelet/kuberuntime/kuberuntime_container.go",
        here="pod",
    ),
    Rule(
        what="Probes (httpGet, tcpSocket) of the kinds startup, readiness, liveness, with their delays and thresholds.",
        source="docs: concepts/configuration/liveness-readiness-startup-probes",
        here="probes",
        differs="No exec and no grpc. What has not started or is not ready yet is asked every quarter of a second. They ask 127.0.0.1.",
    ),
    Rule(
        what="Environment: the image's, then envFrom, then env; $(NAME) is expanded in env, command and args, and $$ is $.",
        source="docs: tasks/inject-data-application/define-interdependent-environment-variables; src: third_party/forked/golang/expansion",
        here="environment",
        differs="Of the services only KUBERNETES_SERVICE_HOST and _PORT, which are the API server's own.",
    ),
    Rule(
        what="/etc/hosts of a pod is written by kubelet; the cluster's DNS knows a Service as name, name.namespace and with .svc[.cluster.local].",
        source="src: pkg/kubelet/kubelet_pods.go, nodeHostsFileContent; docs: concepts/services-networking/dns-pod-service",
        here="services",
        differs="No DNS: /etc/hosts has all of that, and every name leads to this machine. No hostAliases.",
    ),
    Rule(
        what="Volumes of the kinds emptyDir, secret, configMap, downwardAPI, projected, hostPath and claims on hostPath volumes; modes, items, optional.",
        source="docs: concepts/storage/volumes, projected-volumes; src: pkg/volume/util/atomic_writer.go",
        here="volumes",
        differs="A Secret that changes later is not followed; emptyDir has no size limit and is never in memory.",
    ),
    Rule(
        what="fsGroup: everything in a volume is the group's, who reads it, and writes it where it is not read-only; folders pass the group on.",
        source="src: pkg/volume/volume_linux.go, SetVolumeOwnership",
        here="volumes",
        differs="hostPath excepted, as there; fsGroupChangePolicy is taken as Always.",
    ),
    Rule(
        what="A service account's token for an audience, bound to the pod; kubelet writes it for its owner, and for the fsGroup.",
        source="docs: tasks/configure-pod-container/configure-service-account; src: pkg/volume/projected/projected.go",
        here="volumes",
        differs="It is not renewed.",
    ),
    Rule(
        what="runAsUser, runAsGroup, supplementalGroups, runAsNonRoot, readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities.drop of ALL; "
        "else the capabilities that engines leave to root.",
        source="docs: tasks/configure-pod-container/security-context; src: moby oci/caps/defaults.go",
        here="configure, room",
        differs="No seccomp, AppArmor or SELinux; other lists of capabilities are not read; of an image's users only numbers are known.",
    ),
    Rule(
        what="Logs: CRI's format, 16 KiB a line at most; follow, previous, tailLines, limitBytes, sinceTime, sinceSeconds, timestamps; a log goes with its pod.",
        source="src: pkg/kubelet/kuberuntime/logs/logs.go; containerd pkg/cri/io/logger.go",
        here="logs, log_server",
        differs="Standard output and error are one stream; logs are not rotated.",
    ),
    Rule(
        what="A log that is not there yet is refused with 400: the container is waiting to start.",
        source="src: pkg/kubelet/kubelet_pods.go, validateContainerLogStatus",
        here="log_server",
    ),
)

# What tests must not expect of it.
NOT_HERE = (
    "exec, attach, port-forward, ephemeral containers",
    "a network: pods have the machine's, and their addresses (10.244.0.0/16) lead nowhere",
    "a proxy for Services: one works where its port is also the one that its pods listen at",
    "limits of CPU, of storage, of processes; QoS, priorities among pods of a node",
    "in process mode, an image's files, but for the few that the table names: the machine's lie in their place, below a layer that is the container's own",
    "sidecars (init containers that restart), lifecycle hooks, resizing, scheduling gates: the control plane does not know them either",
    "checkpoints: with the kubelet all its containers end, and a new one begins its pods anew",
)
