"""What is made in the cluster for a job: dicts in Kubernetes' own words, from settings and job alone.

A pod is what the profile "restricted" of Kubernetes' pod security asks for. What `.gitops.yaml` asks for in `job.runner` was held
against the operator's policy before and is put over the settings here.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from service import limits
from service.errors import LaunchFailed
from service.launchers import Job
from service.launchers.kubernetes import names
from service.settings import Kubernetes

Manifest = dict[str, Any]

PROGRAM_FILE = "runner.pyz"
# What a pod is given is below this folder, whose parts the image need not have.
FOLDER = "/gitops"
PROGRAM = f"{FOLDER}/{PROGRAM_FILE}"
JOB = f"{FOLDER}/job"
WORK = f"{FOLDER}/work"
HOME = f"{FOLDER}/home"
TEMPORARY = f"{FOLDER}/tmp"  # noqa: S108 - in the pod
# A runner's HOME holds settings and caches of programs, no data.
_HOME_SIZE = "1Gi"
# After SIGTERM the runner has limits.CANCEL_GRACE_S to end, and its companion the rest to tell of it.
_GRACE_S = int(limits.CANCEL_GRACE_S) + 25
# Kubernetes counts in nanoseconds, and beyond 292 years from the beginning.
_LONGEST_S = 2**31 - 1
# Autoscalers leave a node alone on which a run is; a run is not repeated.
_STAY = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}


def config_map(settings: Kubernetes, namespace: str, digest: str, program: bytes) -> Manifest:
    """The workflow runner; another version of it is another ConfigMap."""
    marked = {names.MANAGED_BY: names.MANAGER, names.INSTANCE: settings.instance}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.program_name(digest), "namespace": namespace, "labels": marked},
        "immutable": True,
        "binaryData": {PROGRAM_FILE: base64.b64encode(program).decode()},
    }


def secret(
    settings: Kubernetes, namespace: str, job: Job, told: Mapping[str, str], owner: Mapping[str, Any]
) -> Manifest:
    """`told` are the files that the pod finds in JOB: its id, where to call, the token with which. It goes with `owner`, its Job."""
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": owner["metadata"]["name"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            **_metadata(settings, namespace, job),
            "ownerReferences": [{**reference, "uid": owner["metadata"]["uid"]}],
        },
        "data": encoded(told),
    }


def encoded(told: Mapping[str, str]) -> dict[str, str]:
    """As a Secret's `data` holds it."""
    return {name: base64.b64encode(value.encode()).decode() for name, value in told.items()}


def job(settings: Kubernetes, namespace: str, job: Job, program: str) -> Manifest:
    """`program` is the ConfigMap's name. The deadline is only the cluster's own, for when the service is away.

    Raises LaunchFailed for a volume that the operator has not.
    """
    metadata = _metadata(settings, namespace, job)
    timeout = {names.TIMEOUT: f"{job.timeout_s:g}"}  # on the pod as well, which may outlive its Job
    metadata["annotations"] = {**settings.annotations, **timeout}
    marks = {"labels": dict(metadata["labels"]), "annotations": {**_STAY, **settings.annotations, **timeout}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": min(math.ceil(job.timeout_s + settings.start_timeout) + _GRACE_S, _LONGEST_S),
            "template": {"metadata": marks, "spec": _pod(settings, job, program)},
        },
    }


def _metadata(settings: Kubernetes, namespace: str, job: Job) -> Manifest:
    marked = names.labels(settings.instance, job.id, job.kind.value, job.project)
    return {"name": names.job_name(job.id), "namespace": namespace, "labels": {**settings.labels, **marked}}


def _pod(settings: Kubernetes, job: Job, program: str) -> Manifest:
    account = job.runner.service_account or settings.service_account
    pod: Manifest = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_S,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": settings.run_as_user,
            "runAsGroup": settings.fs_group,
            "fsGroup": settings.fs_group,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings, job)],
        "volumes": _volumes(settings, job, program),
    }
    if account is None:  # whether its pods get its token, an account itself says
        pod["automountServiceAccountToken"] = False
    wishes = {
        "serviceAccountName": account,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "nodeSelector": {**settings.node_selector, **job.runner.node_selector},
        "tolerations": list(settings.tolerations),
        "affinity": settings.affinity,
        "priorityClassName": settings.priority_class,
        "runtimeClassName": settings.runtime_class,
    }
    return pod | {key: value for key, value in wishes.items() if value}


def _container(settings: Kubernetes, job: Job) -> Manifest:
    mounts = [
        {"name": "program", "mountPath": PROGRAM, "subPath": PROGRAM_FILE, "readOnly": True},
        {"name": "job", "mountPath": JOB, "readOnly": True},
        {"name": "work", "mountPath": WORK},
        {"name": "home", "mountPath": HOME},
        {"name": "tmp", "mountPath": TEMPORARY},
    ]
    if settings.read_only_root:
        mounts.append({"name": "tmp", "mountPath": "/tmp"})  # noqa: S108 - in the pod
    container: Manifest = {
        "name": names.CONTAINER,
        "image": job.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", PROGRAM],
        "args": ["--pod", JOB],
        "workingDir": WORK,
        "env": _environment(settings, job),
        "volumeMounts": [*mounts, *_more_mounts(settings, job)],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": settings.read_only_root,
            "capabilities": {"drop": ["ALL"]},
        },
        # What it printed last, where it left without a word.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    resources = _resources(settings.resources, job.runner.resources)
    return container | ({"resources": resources} if resources else {})


def _environment(settings: Kubernetes, job: Job) -> list[Manifest]:
    """Later ones win, and the last are ours."""
    given: dict[str, str | dict[str, Any]] = {
        "LANG": "C.UTF-8",
        # MLRun asks for the user's name, and a uid of the operator's choice has no entry in passwd.
        "USER": "mlrun-gitops",
        "LOGNAME": "mlrun-gitops",
        **settings.env,
        **job.runner.env,
        **job.environment,
        "HOME": HOME,
        "TMPDIR": TEMPORARY,
        "PYTHONUNBUFFERED": "1",
        "GITOPS_JOB": job.id,
        # Who claims the job: the pod, so that it is known whose end counts.
        "GITOPS_CLAIMER": {"fieldRef": {"fieldPath": "metadata.uid"}},
    }
    return [
        {"name": name, "value": value} if isinstance(value, str) else {"name": name, "valueFrom": value}
        for name, value in given.items()
    ]


def _more_mounts(settings: Kubernetes, job: Job) -> list[Manifest]:
    picked = [{"name": name, "mountPath": path} for name, path in job.runner.volumes.items()]
    return [*settings.volume_mounts, *picked]


def _volumes(settings: Kubernetes, job: Job, program: str) -> list[Manifest]:
    """Of the operator's those that are mounted: what is only allowed is not attached to every node."""
    theirs = {volume.get("name"): volume for volume in settings.volumes}
    mounted = {mount.get("name"): None for mount in _more_mounts(settings, job)}
    if lacking := [str(name) for name in mounted if name not in theirs]:
        failure = LaunchFailed(
            f"there is no volume {lacking[0]!r}", mend="launcher.kubernetes.volumes names the volumes there are"
        )
        failure.retry = False
        raise failure
    return [
        {"name": "program", "configMap": {"name": program, "defaultMode": 0o444}},
        {"name": "job", "secret": {"secretName": names.job_name(job.id), "defaultMode": 0o440}},
        {"name": "work", "emptyDir": {"sizeLimit": settings.scratch_size}},
        {"name": "home", "emptyDir": {"sizeLimit": _HOME_SIZE}},
        {"name": "tmp", "emptyDir": {"sizeLimit": settings.scratch_size}},
        *(theirs[name] for name in mounted),
    ]


def _resources(default: Mapping[str, Any], wished: Mapping[str, Any]) -> Manifest:
    """What is wished for over the default. A limit alone is the request too, as Kubernetes has it."""
    limited = {**(default.get("limits") or {}), **(wished.get("limits") or {})}
    bounded = (wished.get("limits") or {}).keys()
    asked = {key: value for key, value in (default.get("requests") or {}).items() if key not in bounded}
    asked |= wished.get("requests") or {}
    rest = {key: value for key, value in {**default, **wished}.items() if key not in ("limits", "requests")}
    return rest | {key: value for key, value in (("requests", asked), ("limits", limited)) if value}
