"""What the service may do in a namespace of runners: rights.md, with the reason for each verb, and the rules of the chart's Role."""

from __future__ import annotations

import json

from docs.generate.markdown import code, page, table
from service.launchers.kubernetes.rights import RIGHTS, Right, rules

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


def chart_rules() -> str:
    """A rule a line."""
    return "# Made by `make docs` from service/launchers/kubernetes/rights.py.\n" + "".join(
        f"- {json.dumps(rule)}\n" for rule in rules()
    )


def _row(right: Right) -> tuple[str, ...]:
    return (
        code(right.group) if right.group else "core",
        code(right.resource),
        ", ".join(map(code, right.verbs)),
        right.reason,
    )
