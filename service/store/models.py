"""The tables. Times are seconds since the epoch (float, UTC); ids are ULIDs in lower case; JSON is text.

Nothing here knows which database it is on.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from service import limits
from service.store import mlrun_models
from service.store.metadata import metadata

# All are described in one place, whoever looks for it here.
__all__ = ["metadata", "mlrun_models"]

# One row. The oldest release that works with this structure: a step that only adds leaves it as it is.
structure = Table("structure", metadata, Column("oldest", String(16), primary_key=True))

# A raw webhook and its decision. A small body is `body`; a large one lies compressed in the spool file `spool`, or where several
# processes share the store in `body`, until it is parsed.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("hook", String(200), nullable=False),
    Column("forge", String(32), nullable=False),
    Column("forge_id", String(200)),  # the forge's own delivery id
    Column("received_at", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("event", String(64)),
    Column("repository", String(200)),  # our name of it; None until parsed, or when unknown
    Column("ref", String(255)),
    Column("before", String(64)),
    Column("after", String(64)),
    Column("pusher", String(200)),
    Column("headers", Text, nullable=False, default="{}"),  # without credentials
    Column("size", Integer, nullable=False, default=0),
    Column("body", LargeBinary),
    Column("spool", Text),
    Column("parsed", Boolean, nullable=False, default=True),
    Column("outcome", String(16)),
    Column("outcome_reason", Text),
    Column("outcome_at", Float),
    Index(None, "repository", "outcome"),
    Index(None, "repository", "id"),  # pages
    Index(None, "hook", "forge_id"),
)

_OPEN = text("wanted > done")
# What is to be done. `wanted > done` means there is work; a lease says who does it, its fence which of them is newest.
work = Table(
    "work",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("wanted", Integer, nullable=False),
    Column("done", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("owner", String(64)),
    Column("lease_until", Float),
    Column("fence", Integer, nullable=False, default=0),
    Column("claimed", Integer, nullable=False, default=0),  # the generation that the lease is about
    Column("error", Text),
    # Done work stays as history; only what is to be done is searched.
    Index("ix_work_due", "kind", "not_before", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

# What the last fetch found.
repositories = Table(
    "repositories",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("url", Text, nullable=False),
    Column("default_branch", String(255)),
    Column("fetched_at", Float),
    Column("error", Text),
    Column("error_at", Float),
    Column("delivered_at", Float),
)

# The tip of each ref that concerns us.
refs = Table(
    "refs",
    metadata,
    Column("repository", String(200), primary_key=True),
    Column("ref", String(255), primary_key=True),
    Column("commit", String(64), nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("missing_since", Float),
)

projects = Table(
    "projects",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("repository", String(200), nullable=False),
    Column("path", String(400), nullable=False),
    Column("ref", String(255), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("in_force", String(32)),  # a revision's id
    Column("in_force_sync", String(26)),
    Column("synced_commit", String(64)),  # of the last sync that succeeded: the base of the next diff
    Column("last_seq", Integer, nullable=False, default=0),
    Column("suspended", Boolean, nullable=False, default=False),
    Column("pinned", String(32)),
    Column("error", Text),
    UniqueConstraint("repository", "path", "ref"),
)

# A transition of one project to one commit. `seq` counts a project's syncs.
syncs = Table(
    "syncs",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("repository", String(200), nullable=False),
    Column("ref", String(255), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("base", String(64)),
    Column("seq", Integer, nullable=False),
    Column("cause", String(16), nullable=False),
    Column("declaration", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("superseded_by", String(26)),
    Column("subject", Text),
    Column("author", String(200)),
    Column("revision", String(32)),
    Column("plan", Text),
    Column("error", Text),  # JSON: code, what, mend, detail
    Column("timings", Text, nullable=False, default="{}"),  # JSON: stage -> seconds
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    UniqueConstraint("project", "seq"),
    Index(None, "repository", "ref", "commit"),
    Index(None, "project", "state"),
    Index(None, "project", "id"),  # pages
)

# A resolved project. The same configuration met at another commit is the same revision.
revisions = Table(
    "revisions",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("commit", String(64), nullable=False),  # where it was first resolved
    Column("resolved", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("repository", String(200), nullable=False),
    Column("workflow", String(200), nullable=False),
    Column("sync", String(26), ForeignKey("syncs.id")),  # planned by a sync ...
    Column("declared_by", String(26)),  # the sync whose declaration holds
    Column("schedule", String(26)),  # ... or by a fire of this schedule ...
    Column("due", Float),
    Column("request", String(64)),  # ... or asked for by a person (an idempotency key)
    Column("retry_of", String(26)),
    Column("ref", String(255), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("revision", String(32), nullable=False),
    Column("arguments", Text, nullable=False),
    Column("concurrency", String(16), nullable=False),
    Column("launcher", String(16), nullable=False),
    Column("image", Text),
    Column("mlrun_version", String(32), nullable=False),
    Column("timeout_s", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("position", BigInteger, nullable=False, default=0),  # bytes of the event file that were read
    Column("cancel", String(16)),  # an EndReason that was asked for
    Column("starts", Integer, nullable=False, default=1),  # how often the launcher was told to start it
    Column("results", Text),
    Column("error", Text),  # JSON: type, message, traceback
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    UniqueConstraint("sync", "project", "workflow"),
    UniqueConstraint("schedule", "due"),
    UniqueConstraint("project", "request"),
    Index(None, "project", "state"),
    Index(None, "project", "id"),  # pages
    Index(None, "launcher", "state"),
)

# What somebody asked to be shown: the plan of a push that did not happen. Nothing else is made of it.
previews = Table(
    "previews",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("asked", String(255)),  # a ref or commit in the asker's words; None: the project's ref
    Column("ref", String(255)),  # the full ref that counts as pushed ...
    Column("commit", String(64)),  # ... and its commit, once they are known
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("plan", Text),
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Index(None, "project", "id"),
    Index(None, "created_at"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("run", String(26), primary_key=True),
    Column("position", BigInteger, primary_key=True),  # of the line in the run's event file: a line is stored once
    Column("at", Float, nullable=False),
    Column("event", String(32), nullable=False),
    Column("data", Text, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("name", String(200), nullable=False),
    Column("workflow", String(200), nullable=False),
    Column("cron", String(200), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("catch_up", String(16), nullable=False),
    Column("arguments", Text, nullable=False),
    Column("evaluated_until", Float, nullable=False),  # every due time up to here has a row in fires
    Column("next_due", Float),
    Column("suspended", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("removed_at", Float),
    Column("sync", String(26)),
    Index(None, "project", "name"),
    Index(None, "removed_at", "next_due"),
)

# A due time and what became of it.
fires = Table(
    "fires",
    metadata,
    Column("schedule", String(26), primary_key=True),
    Column("due", Float, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("run", String(26)),
    Column("at", Float, nullable=False),
)

# The outbox: one row a (message, handler).
notifications = Table(
    "notifications",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("handler", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    Column("key", String(200), nullable=False),  # what it says, without times; unique a handler
    Column("project", String(63)),
    Column("run", String(26)),
    Column("sync", String(26)),
    Column("message", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("sent_at", Float),
    UniqueConstraint("handler", "key"),
    Index(None, "state"),
    Index(None, "run"),
    Index(None, "sync"),
)

# What a handler remembers of what it sent (where a message stands, so that it can be edited), by its own keys.
handler_notes = Table(
    "handler_notes",
    metadata,
    Column("handler", String(64), primary_key=True),
    Column("key", String(limits.HANDLER_NOTE_KEY), primary_key=True),
    Column("note", Text, nullable=False),  # JSON
    Column("at", Float, nullable=False),
    Index(None, "handler", "at"),
)

# Jobs of the workflow runner that run where our disk is not: in pods, which speak to us over HTTP. Any replica can answer them.
jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("launcher", String(16), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("repository", String(200), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("document", Text),  # what the runner is to do, as JSON; gone once the job is over
    Column("created_at", Float, nullable=False),
    Column("claimer", String(64)),  # who runs it: the first that asked
    Column("claimed_at", Float),
    Column("lines", Integer, nullable=False, default=0),  # of its events
    Column("result", LargeBinary),
    Column("log_size", BigInteger, nullable=False, default=0),
    Column(
        "log_mark", String(120), nullable=False, default=""
    ),  # where in the pod's log that is, in the launcher's words
    Column("cancel", String(16)),  # an EndReason that was asked for
    Column("ended", String(16)),  # an EndReason
    Column("exit_code", Integer),
    Column("detail", Text, nullable=False, default=""),  # what is known of how it stands, or why it ended
    Column("ended_at", Float),
    Index(None, "launcher", "ended"),
)

# What a job's runner says happened, a line of JSON each, counted from 0.
job_lines = Table(
    "job_lines",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("line", Text, nullable=False),
)

# What a job printed, in pieces.
job_logs = Table(
    "job_logs",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("start", BigInteger, primary_key=True),  # the first byte's place in the log
    Column("data", LargeBinary, nullable=False),
)

# Secrets that the service makes for itself, by name, the same for all replicas.
keys = Table(
    "keys",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# Who did what by API.
audit = Table(
    "audit",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(255), nullable=False),
    Column("data", Text, nullable=False, default="{}"),
)
