"""What comes in (a push) and what goes out (a notification event)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Push:
    """A forge's word that a ref moved. A hint only: what is true is what a fetch finds.

    `repository` is the forge's full name of it (`org/name`); `ref` a full ref (`refs/heads/main`); `before` and
    `after` are 40-digit commits, or None where the ref did not exist before or does not exist any more.
    """

    repository: str
    ref: str
    before: str | None
    after: str | None
    pusher: str | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """The forge tries the webhook; nothing moved."""

    repository: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A valid delivery about something we don't act on; `reason` says why."""

    reason: str
    repository: str | None = None


Event = Push | Ping | Ignored


class Topic(StrEnum):
    """Notification events; `MEANINGS` says of each when it is told."""

    DELIVERY_REJECTED = "delivery.rejected"
    SYNC_STARTED = "sync.started"
    SYNC_SUCCEEDED = "sync.succeeded"
    SYNC_FAILED = "sync.failed"
    SYNC_SUPERSEDED = "sync.superseded"
    CONFIG_SAVED = "config.saved"
    CONFIG_ROLLED_BACK = "config.rolled-back"
    PROJECT_SUSPENDED = "project.suspended"
    RUN_QUEUED = "run.queued"
    RUN_STARTED = "run.started"
    RUN_PROGRESS = "run.progress"
    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    RUN_TIMED_OUT = "run.timed-out"
    RUN_LOST = "run.lost"
    RUN_CANCELLED = "run.cancelled"
    SCHEDULE_CREATED = "schedule.created"
    SCHEDULE_CHANGED = "schedule.changed"
    SCHEDULE_REMOVED = "schedule.removed"
    SCHEDULE_MISSED = "schedule.missed"
    DRIFT_DETECTED = "drift.detected"
    DRIFT_HEALED = "drift.healed"
    PREVIEW_READY = "preview.ready"


MEANINGS: dict[Topic, str] = {
    Topic.DELIVERY_REJECTED: "A webhook was refused: its signature, body or repository is wrong.",
    Topic.SYNC_STARTED: "The service began to bring a project to a commit.",
    Topic.SYNC_SUCCEEDED: "A project is at a commit: saved, scheduled, its runs queued.",
    Topic.SYNC_FAILED: "A commit could not be brought into force; the last good one stays.",
    Topic.SYNC_SUPERSEDED: "A commit was passed over for a newer one.",
    Topic.CONFIG_SAVED: "A project's configuration was saved and is in force.",
    Topic.CONFIG_ROLLED_BACK: "Somebody brought an earlier revision back into force.",
    Topic.PROJECT_SUSPENDED: "Somebody stopped a project's syncs and schedules.",
    Topic.RUN_QUEUED: "A run is planned and waits for its place.",
    Topic.RUN_STARTED: "A run's code began.",
    Topic.RUN_PROGRESS: "A step of a run began or ended; of several that wait to be sent only the newest is.",
    Topic.RUN_SUCCEEDED: "A run did its work.",
    Topic.RUN_FAILED: "A run ended with an error.",
    Topic.RUN_TIMED_OUT: "A run took longer than its timeout and was ended.",
    Topic.RUN_LOST: "A run vanished in its middle; what it did is not known, and it is not repeated.",
    Topic.RUN_CANCELLED: "A run was cancelled, or gave way to a newer one.",
    Topic.SCHEDULE_CREATED: "A workflow has a schedule that it had not before.",
    Topic.SCHEDULE_CHANGED: "A schedule's time, workflow or arguments changed.",
    Topic.SCHEDULE_REMOVED: "A schedule left the repository and fires no more.",
    Topic.SCHEDULE_MISSED: "Times of a schedule passed while nobody could fire it, and are not caught up.",
    Topic.DRIFT_DETECTED: "What is saved is not what Git says.",
    Topic.DRIFT_HEALED: "What had drifted is as Git says again.",
    Topic.PREVIEW_READY: "The plan of a commit that is not in force was made.",
}


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
