"""Where jobs run. A launcher starts a job at most once, follows it, and keeps its log; it decides nothing.

Every launcher has the same verbs. `ensure` is create-or-adopt by job id: called twice, even by two services,
it starts one job. A job's events are lines appended to its event file, the same for all launchers, so that there
is one reader; what a job printed is its log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from service.domain.projects import RunnerRule

if TYPE_CHECKING:
    from sqlalchemy import Connection


class JobKind(StrEnum):
    LOAD = "load"
    RUN = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One execution of the workflow runner.

    `id` names it everywhere and is safe as a file and pod name. `source` writes exactly the files of one commit to
    the directory it is given (whole or not at all), which is then the job's own: the job may write into it. `payload` is the runner's job document
    (docs/reference/runner.md) without the paths, which the launcher adds. `timeout_s` counts from the start. Where jobs are
    pods, `image` is what they run in, and the files are those of `commit` in the `repository` of that name. `runner` is what
    the repository wishes for, within the operator's policy.
    """

    id: str
    kind: JobKind
    source: Callable[[Path], object]
    payload: dict[str, Any]
    timeout_s: float
    mlrun_version: str
    project: str = ""
    repository: str = ""
    commit: str = ""
    image: str | None = None
    runner: RunnerRule = field(default_factory=RunnerRule)
    environment: Mapping[str, str] = field(default_factory=dict)


class Life(StrEnum):
    """What is known of a job's process."""

    UNKNOWN = "unknown"  # nothing of it is here: it was never started
    STARTING = "starting"  # started, not claimed
    ALIVE = "alive"
    GONE = "gone"  # no more events will come, also after `clean`


class EndReason(StrEnum):
    """Why a job is gone, where the launcher itself ended it or saw it end."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    TIMED_OUT = "timed-out"
    KILLED = "killed"
    # Of pods.
    OUT_OF_MEMORY = "out-of-memory"
    EVICTED = "evicted"
    NODE_LOST = "node-lost"
    DELETED = "deleted"  # the pod, the job or its namespace, by somebody else
    INCOMPATIBLE = "incompatible"  # the image lacks what the runner needs
    NOT_STARTED = "not-started"  # no pod began within the time for it: no place, no image, no quota


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What came of a job since `position` (of its event file, or the number of a line): whole events, in order, and its life.

    An event is a dict with `event` (claimed, started, step.started, step.finished, artifact, finished ...), `at`
    (RFC 3339, UTC) and its own fields. `GONE` is only said once every event has been read. `detail` says, in words for
    people, what a job that has not begun waits for, or how one ended, where the launcher knows.
    """

    job: str
    life: Life
    position: int
    events: tuple[dict[str, Any], ...] = ()
    ended: EndReason | None = None
    exit_code: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """`text` from byte `offset` up to `next_offset`; `complete` when the job is gone and all was read."""

    text: str
    next_offset: int
    complete: bool


class Launcher(Protocol):
    name: str

    @property
    def owner(self) -> int | None:
        """The uid that a job's files are to belong to; None: the service's own. A source that is its already is taken as it is."""

    @property
    def fingerprint(self) -> str:
        """Names what jobs run on: two loads of the same files and fingerprint have the same result."""

    def prepare(self) -> None:
        """Do what the first job would wait for. Raises RunnerEnvironmentError."""

    def expect(self, connection: Connection, job: Job) -> bool:
        """`ensure` will be asked for this job. Said in the transaction that decided it, it spares a launcher that notes its jobs in the
        store one of its own. Whether it was new to it."""

    def ensure(self, job: Job, *, is_new: bool = False) -> None:
        """Start `job` unless it was started before. `is_new` is what `expect` said just now: a launcher need not look.

        Raises LaunchFailed, RunnerEnvironmentError."""

    def observe(self, positions: Mapping[str, int], timeout_s: float) -> list[Observation]:
        """News of these jobs; waits up to `timeout_s` for the first."""

    def result(self, job: str) -> dict[str, Any]:
        """The result document of a `load` job that succeeded."""

    def cancel(self, job: str, reason: EndReason = EndReason.CANCELLED) -> None:
        """End it with everything it started; does nothing to a job that is gone. A job not yet started never will."""

    def logs(self, job: str, offset: int = 0) -> LogChunk:
        """What it printed, from byte `offset`; a negative one counts from the end."""

    def clean(self, job: str) -> None:
        """Forget its files, the log excepted."""

    def close(self) -> None:
        """Let go; jobs run on and are adopted by the next service."""
