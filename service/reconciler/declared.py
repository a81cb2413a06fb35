"""What a repository declared where a run's configuration was resolved."""

from __future__ import annotations

from sqlalchemy import Connection

from service.domain.projects import Declaration
from service.store import syncs
from service.store.runs import Run
from service.store.syncs import Sync


def declared_by(conn: Connection, run: Run) -> Sync | None:
    """The sync whose declaration, and plan, hold for the run."""
    planned = run.declared_by or run.sync
    return syncs.get(conn, planned) if planned else None


def declaration_of(conn: Connection, run: Run) -> Declaration:
    sync = declared_by(conn, run)
    return sync.declaration if sync else Declaration()
