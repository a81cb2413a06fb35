"""The states that things pass through; the names are those of the API."""

from enum import StrEnum


class DeliveryState(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    REJECTED = "rejected"


class Outcome(StrEnum):
    """What became of an accepted delivery, once its fetch told."""

    SYNCED = "synced"  # a sync of this commit exists; it has the rest of the story
    SUPERSEDED = "superseded"  # the fetch found a newer commit
    UNCHANGED = "unchanged"  # the ref was known at this commit already
    NO_PROJECT = "no-project"  # nothing in the repository is bound to this ref
    DELETED = "deleted"  # the ref is gone
    FAILED = "failed"  # the repository could not be fetched or understood
    IGNORED = "ignored"  # the operator took the repository out of the settings


class SyncState(StrEnum):
    QUEUED = "queued"
    SYNCING = "syncing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    HELD = "held"


class PreviewState(StrEnum):
    QUEUED = "queued"
    PLANNING = "planning"
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"  # a push would do nothing, and says why
    FAILED = "failed"


class RunState(StrEnum):
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    TIMED_OUT = "timed-out"
    LOST = "lost"


class BuildState(StrEnum):
    """Of an image that MLRun builds."""

    QUEUED = "queued"
    BUILDING = "building"  # MLRun was asked, and whether it heard may not be known
    READY = "ready"
    FAILED = "failed"


class FireState(StrEnum):
    FIRED = "fired"
    MISSED = "missed"  # due while nobody could fire it, and passed over by its catch-up rule


class NotificationState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SUPERSEDED = "superseded"  # newer progress of the same run took its place before it left


OPEN_PREVIEWS = frozenset({PreviewState.QUEUED, PreviewState.PLANNING})
OPEN_SYNCS = frozenset({SyncState.QUEUED, SyncState.SYNCING})
ACTIVE_RUNS = frozenset({RunState.STARTING, RunState.RUNNING})
OPEN_BUILDS = frozenset({BuildState.QUEUED, BuildState.BUILDING})
OPEN_RUNS = ACTIVE_RUNS | {RunState.QUEUED}
ENDED_RUNS = frozenset(RunState) - OPEN_RUNS
