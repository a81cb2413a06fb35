"""Names and labels, by which the service finds what is its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

PREFIX = "mlrun-gitops.io"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "mlrun-gitops"
INSTANCE = f"{PREFIX}/instance"
JOB = f"{PREFIX}/job"
KIND = f"{PREFIX}/kind"
PROJECT = f"{PREFIX}/project"
# How long a job may take, in seconds from its claim.
TIMEOUT = f"{PREFIX}/timeout"

# The one container of a job's pod.
CONTAINER = "runner"

# Kubernetes allows 63 characters to a name that is to be a label too.
_LENGTH = 63
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_LABEL = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")


def job_name(job_id: str) -> str:
    """Of its Job and its Secret."""
    return _fitting(f"gitops-{job_id}", _NAME)


def job_label(job_id: str) -> str:
    return _fitting(job_id, _LABEL)


def program_name(digest: str) -> str:
    """Of the ConfigMap that holds the workflow runner with this hash."""
    return f"gitops-runner-{digest[:16]}"


def labels(instance: str, job_id: str, kind: str, project: str) -> dict[str, str]:
    marked = {MANAGED_BY: MANAGER, INSTANCE: instance, JOB: job_label(job_id), KIND: kind}
    return marked | ({PROJECT: project} if len(project) <= _LENGTH and _LABEL.match(project) else {})


def selector(instance: str) -> str:
    """What has these labels is this instance's."""
    return f"{MANAGED_BY}={MANAGER},{INSTANCE}={instance}"


def is_of(thing: Mapping[str, Any], instance: str, job_id: str) -> bool:
    """Whether an object of the cluster was made for this job by this instance."""
    marked = thing.get("metadata", {}).get("labels") or {}
    return bool(marked.get(INSTANCE) == instance and marked.get(JOB) == job_label(job_id))


def _fitting(name: str, pattern: re.Pattern[str]) -> str:
    """`name`, or its beginning with a hash where Kubernetes does not take it."""
    if len(name) <= _LENGTH and pattern.match(name):
        return name
    begin = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: _LENGTH - 17]
    return f"{begin.strip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
