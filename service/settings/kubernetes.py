"""How jobs look as pods: `launcher.kubernetes`. What Kubernetes itself has words for is written in them, in its own spelling."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from service.settings.section import Duration, Section, Words

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_QUANTITY = re.compile(r"^[0-9]+(\.[0-9]+)?([KMGTPE]i?|[mk])?$")
# Under this prefix labels and annotations are ours.
_OURS = re.compile(r"^(mlrun-gitops\.io/|app\.kubernetes\.io/managed-by$)")


def _label(value: str) -> str:
    if not _LABEL.match(value):
        raise ValueError("is no name for Kubernetes; use lower-case letters, digits and - (at most 63)")
    return value


def _quantity(value: str) -> str:
    if not _QUANTITY.match(value):
        raise ValueError("is no quantity; write for example 10Gi")
    return value


def _not_ours(value: dict[str, str]) -> dict[str, str]:
    if ours := [key for key in value if _OURS.match(key)]:
        raise ValueError(f"sets {ours[0]}, by which the service finds its Jobs; choose another name")
    return value


def _checked(check: Any, kind: type) -> BeforeValidator:
    return BeforeValidator(lambda value: check(value) if isinstance(value, kind) else value)


KubernetesName = Annotated[str, _checked(_label, str)]
Quantity = Annotated[str, _checked(_quantity, str)]
Marks = Annotated[dict[str, str], _checked(_not_ours, dict)]
Given = dict[str, Any]


class Kubernetes(Section):
    """Jobs as pods of a cluster. Empty, the cluster is the one that the service runs in."""

    kubeconfig: Path | None = Field(
        default=None,
        description="A kubeconfig file. Without it the service is a pod itself and uses its service account.",
    )
    context: str | None = Field(default=None, description="The context of the kubeconfig, if not its current one.")
    namespace: KubernetesName | None = Field(
        default=None, description="Where Jobs are made; by default the context's namespace, or the service's own."
    )
    instance: KubernetesName = Field(
        default="default",
        description="Tells the Jobs of this service from those of another one in the same namespace. It never changes.",
    )
    service_account: KubernetesName | None = Field(
        default=None,
        description="The service account of the pods, which says itself whether they get its token. Without it they are of the namespace's default one and get none.",
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When nodes pull images."
    )
    image_pull_secrets: Words = Field(default=(), description="Secrets with which images are pulled.")
    node_selector: dict[str, str] = Field(
        default={}, description="Labels of the nodes that jobs run on; `.gitops.yaml` adds what `policy` allows."
    )
    tolerations: tuple[Given, ...] = Field(default=(), description="Tolerations of the pods.")
    affinity: Given = Field(default={}, description="Affinity of the pods.")
    resources: Given = Field(
        default={"requests": {"cpu": "250m", "memory": "1Gi"}},
        description="`requests` and `limits` of a job where `.gitops.yaml` has none.",
    )
    priority_class: str | None = Field(default=None, description="The priority class of the pods.")
    runtime_class: str | None = Field(default=None, description="The runtime class of the pods.")
    env: dict[str, str | Given] = Field(
        default={},
        description="Environment variables of the pods: a value, or as Kubernetes' `valueFrom` where to take it from.",
    )
    volumes: tuple[Given, ...] = Field(
        default=(), description="Volumes that pods may mount: by `volume_mounts`, or by name in `.gitops.yaml`."
    )
    volume_mounts: tuple[Given, ...] = Field(
        default=(), description="Which of these volumes every pod mounts, and where."
    )
    labels: Marks = Field(default={}, description="More labels of Jobs and pods.")
    annotations: Marks = Field(default={}, description="More annotations of Jobs and pods.")
    run_as_user: int = Field(default=1000, ge=1, description="The uid of the pods, whatever user the image names.")
    fs_group: int = Field(default=1000, ge=1, description="The gid of the pods and of their volumes.")
    read_only_root: bool = Field(
        default=False, description="Whether the image's own files cannot be changed; `/tmp` is a volume then."
    )
    scratch_size: Quantity = Field(
        default="10Gi", description="How much a job may write to its working directory, and as much to temporary files."
    )
    start_timeout: Duration = Field(
        default=900.0,
        gt=0,
        description="How long a job may wait for a place, its image and its first word; then it has failed.",
    )
    keep: Duration = Field(
        default=3600.0,
        description="How long an ended Job stays in the cluster to be looked at; its log is kept anyway.",
    )
    ca_bundle: Path | None = Field(
        default=None,
        description="Certificates that pods trust when they call the service, if it has one of an own authority.",
    )
