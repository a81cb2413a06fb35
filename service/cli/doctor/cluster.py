"""The Kubernetes cluster, where jobs run in one: whether it answers, and lets the service do all that it needs."""

from __future__ import annotations

from collections.abc import Iterator

from service.cli.doctor.findings import Case, Finding, bad, good

_KUBERNETES = "kubernetes"


def check(case: Case) -> Iterator[Finding]:
    if _KUBERNETES not in case.settings.launchers_in_use:
        return
    from service.launchers import kubernetes

    case.progress("asking the cluster")
    server = case.settings.server
    if server.internal_url or server.public_url:
        yield good("pods", f"call the service at {server.internal_url or server.public_url}")
    else:
        yield bad("pods", "are not told where the service is", "set server.internal_url")
    for looked in kubernetes.check(case.settings.launcher.kubernetes):
        yield bad(looked.what, looked.said, looked.mend) if looked.mend else good(looked.what, looked.said)
