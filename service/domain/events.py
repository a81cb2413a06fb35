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
    """Notification events; docs/reference/events.md says what each means."""

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


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
