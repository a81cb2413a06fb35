"""rights.md: what the service may do in a namespace of runners, with the reason for each verb."""

from __future__ import annotations

from docs.generate.markdown import code, page, table
from service.launchers.kubernetes.rights import RIGHTS, Right

_INTRO = """\
The chart grants these by a Role in each namespace of `runner.namespaces`, and nothing in any other namespace or in the cluster as a whole.
`mlrun-gitops doctor` asks the cluster whether they are there. Rights on Secrets cannot be narrowed to names, since each job has one of its own:
in a namespace of runners the service can read every Secret whose name it knows, so give runners a namespace without other people's."""


def text() -> str:
    return page(
        "Rights in Kubernetes",
        "service/launchers/kubernetes/rights.py",
        _INTRO,
        table(("API group", "resource", "verbs", "why"), map(_row, RIGHTS)),
        "Pods of runners have an account of their own, which has no rights and whose token is not mounted.",
    )


def _row(right: Right) -> tuple[str, ...]:
    return (
        code(right.group) if right.group else "core",
        code(right.resource),
        ", ".join(map(code, right.verbs)),
        right.reason,
    )
