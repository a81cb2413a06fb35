"""`doctor`: looks at everything a service needs before it needs it, and says how to mend what is wrong.

A check is a function that yields findings; `CHECKS` is the list of them, in the order of what stands on what. Nothing is
changed, nobody is told anything, and no secret is in any finding, unless `fix` or `send` ask for it. A room that not everybody
has settings for is imported by its check, once there are some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from service.cli.doctor import cluster, machine, mlrun, outside, runner, state
from service.cli.doctor.findings import Case, Finding, Level
from service.errors import GitopsError

Check = Callable[[Case], Iterator[Finding]]

# Its name, what is waited for meanwhile, and how it is done.
CHECKS: tuple[tuple[str, str, Check], ...] = (
    ("machine", "this machine", machine.check),
    ("store", "data and store", state.check),
    ("runner", "the runner environment", runner.check),
    ("port", "the service's port", outside.port),
    ("repositories", "the repositories", outside.repositories),
    ("handlers", "the handlers", outside.handlers),
    ("launcher", "MLRun and launcher", outside.supported),
    ("cluster", "the cluster", cluster.check),
    ("MLRun API", "the MLRun API", mlrun.check),
)


def examine(case: Case, name: str, check: Check) -> list[Finding]:
    """Everything that one check finds; what stops it is a finding too."""
    found: list[Finding] = []
    try:
        found.extend(check(case))
    except GitopsError as error:
        found.append(Finding(Level.BAD, name, error.what, error.mend, error.detail))
    except OSError as error:
        found.append(Finding(Level.BAD, name, str(error), "run doctor as the user of the service, who may look there"))
    return found


__all__ = ["CHECKS", "Case", "Check", "Finding", "Level", "examine"]
