"""What the service may do in a namespace of runners, and why: each verb has a reason, and nothing else is granted.

The one place that says so. The chart's Role, the table of the operator's guide and doctor's check are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Right:
    """`verbs` on a `resource` (a subresource as `pods/log`) of an API `group`; "" is the core group."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    reason: str


RIGHTS: tuple[Right, ...] = (
    Right("batch", "jobs", ("create",), "Each load and each run is one Job."),
    Right("batch", "jobs", ("get",), "A Job that is there already is adopted, after a look whose it is."),
    Right("batch", "jobs", ("list", "watch"), "One list and one watch follow all Jobs, however many there are."),
    Right(
        "batch", "jobs", ("patch",), "Once its end is recorded, a Job gets the time after which the cluster removes it."
    ),
    Right("batch", "jobs", ("delete",), "A cancelled run's Job is removed, and its pod with it."),
    Right(
        "",
        "pods",
        ("list", "watch"),
        "Why one does not start, or how it ended, only the pod says; it is looked for before it is called gone.",
    ),
    Right("", "pods", ("delete",), "A pod that its Job left behind, as on a node that is gone, is removed."),
    Right("", "pods/log", ("get",), "What a run prints is followed while it runs, and kept."),
    Right(
        "", "secrets", ("create",), "A Job's Secret holds its id, where to call, and a token that opens this job alone."
    ),
    Right("", "secrets", ("get",), "A Secret that is there already is adopted, after a look whose it is."),
    Right(
        "",
        "secrets",
        ("patch",),
        "A Secret that is there already, from an attempt that was cut off, gets what it should hold and its Job as the owner.",
    ),
    Right("", "secrets", ("delete",), "A Secret whose Job never came to be is removed."),
    Right(
        "",
        "configmaps",
        ("create",),
        "The workflow runner's program, once a version of it; immutable, named by its hash.",
    ),
    Right("", "configmaps", ("get",), "Whether this version's program is there already."),
    Right(
        "", "events", ("list",), "Why a Job has no pod (a quota, a refusal at admission) stands in its events alone."
    ),
)


def rules() -> list[dict[str, list[str]]]:
    """RIGHTS as the `rules` of a Role: one for each resource, in the table's order."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in RIGHTS:
        verbs.setdefault((right.group, right.resource), []).extend(right.verbs)
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": granted}
        for (group, resource), granted in verbs.items()
    ]
