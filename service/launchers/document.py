"""What a job's pod is told: the runner's job document, what the image has to hold for it, and how patient the companion is.

Paths are not in it: the companion (`service/workflow_runner/pod`) adds them. docs/reference/runner.md has the format.
"""

from __future__ import annotations

from service import limits
from service.domain import mlrun_versions
from service.domain.projects import Json
from service.launchers import Job

VERSION = 1


def document_of(job: Job) -> Json:
    """`document` of a `PodJob`; holds no secret."""
    return {
        "job": {**job.payload, "version": VERSION, "id": job.id, "kind": job.kind.value},
        "image": job.image,
        "needs": needs_of(job.mlrun_version),
        "look_s": limits.POD_LOOK_S,
        "flush_s": limits.POD_FLUSH_S,
    }


def needs_of(mlrun_version: str) -> dict[str, str]:
    """The oldest Python, and how the versions of packages begin; an empty text is any version."""
    row = mlrun_versions.row_of(mlrun_version)
    major, minor, _ = mlrun_versions.number(mlrun_version) or (0, 0, 0)
    # Python 3.9 has MLRun's SDK with kfp 1.8 alone; newer ones pin what they need.
    return {"python": row.python, "mlrun": f"{major}.{minor}", "kfp": "1.8" if row.python == "3.9" else ""}
