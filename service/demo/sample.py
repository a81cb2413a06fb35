"""The sample project of the story, `examples/fraud`: what stands in it, and what is changed in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FILES = Path(__file__).parents[2] / "examples" / "fraud"

STEPS = ("generate", "train", "evaluate")
ARTIFACTS = ("history", "holdout", "model", "caught")
SCHEDULE = "nightly"
MIN_AUC = 0.88
# As it is pushed first, second, and by the two quick pushes.
ROUNDS = (10, 80, 120, 160)


@dataclass(frozen=True, slots=True)
class Times:
    """A cron line and its time zone."""

    cron: str
    timezone: str

    @property
    def at(self) -> tuple[int, int]:
        """Hour and minute."""
        minute, hour, *_ = self.cron.split()
        return int(hour), int(minute)

    @property
    def weekdays(self) -> range:
        return range(5) if self.cron.endswith("1-5") else range(7)

    def __str__(self) -> str:
        return self.cron


# Neither stands in an hour that a change of the clocks skips or repeats.
NIGHTLY = Times("15 4 * * *", "Europe/Berlin")
MOVED_TO = Times("45 5 * * 1-5", "Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Edit:
    """In `file`, `old` becomes `new`."""

    file: str
    old: str
    new: str


def rounds(old: int, new: int) -> Edit:
    return Edit("project.yaml", f"rounds: {old} ", f"rounds: {new} ")


IMPROVED = (rounds(*ROUNDS[:2]), Edit(".gitops.yaml", NIGHTLY.cron, MOVED_TO.cron))
# A variable gets a better name, but not everywhere.
RENAMED = (
    Edit("workflow.py", "    generated = project", "    payment_data = project"),
    Edit("workflow.py", '{"history": generated.outputs', '{"history": payment_data.outputs'),
)
MENDED = (Edit("workflow.py", '"holdout": generated.outputs', '"holdout": payment_data.outputs'),)
NAME_ERROR = "name 'generated' is not defined"
TRACEBACK = 'File "workflow.py", line '
