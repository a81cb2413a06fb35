"""What workflows run on: a Python that really runs, and MLRun on it."""

from __future__ import annotations

from collections.abc import Iterator

from service.cli.doctor.findings import Case, Finding, doubt, good
from service.launchers.process import ensure_environment, is_installed, planned


def check(case: Case) -> Iterator[Finding]:
    case.progress("looking for the runner's Python")
    environment, interpreter = planned(case.settings)
    yield good("runner python", f"{interpreter.path} runs, it is Python {interpreter.version}")
    name = f"MLRun {environment.mlrun_version}"
    if is_installed(case.settings):
        yield good("runner", f"{name} is installed in {environment.root}")
    elif case.fix:
        ensure_environment(case.settings, case.progress, live=case.live)
        yield good("runner", f"{name} was installed in {environment.root}")
    else:
        yield doubt(
            "runner",
            f"{name} is not installed yet; the first push would wait for it",
            "`mlrun-gitops doctor --fix` installs it (430 MB, once)",
        )
