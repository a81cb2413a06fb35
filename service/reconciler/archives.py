"""The address of a commit's archive: whoever knows it may read these files, and nothing else, for as long as they are run from.

The signature stands in the path, since MLRun's loader wants an address that ends in `.tar.gz` and drops what follows. It
is worth something while the store says so: the project's revision in force is of that commit, or a sync or run of it goes on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from sqlalchemy import Connection

from service.domain.states import OPEN_RUNS, SyncState
from service.store import Store, keys, projects, revisions, runs, syncs

_KEY = "archives"


def archive_url(store: Store, base: str, project: str, commit: str) -> str:
    """Below `base`, the address of this service as its reader calls it. Raises StoreUnavailable."""
    with store.read() as connection:
        key = keys.find(connection, _KEY)
    key = key or store.write(lambda connection: keys.key(connection, _KEY))
    return _address(key, base, project, commit)


def archive_url_of_run(connection: Connection, base: str, project: str, run: str, commit: str) -> str:
    """The same for one run, which no other has: it is worth something while that run goes on."""
    return _address(keys.key(connection, _KEY), base, f"{project}.{run}", commit)


def repository_of(store: Store, capability: str, commit: str) -> str | None:
    """The repository whose `commit` may be read; None for every reason why not."""
    whose, _, signature = capability.rpartition(".")
    project, _, run = whose.partition(".")
    with store.read() as connection:
        key = keys.find(connection, _KEY)
        if key is None or not _equal(_sign(key, whose, commit), signature):
            return None
        if run:
            return _going_on(connection, run, commit)
        return (
            _in_force(connection, project, commit)
            or _running(connection, project, commit)
            or _syncing(connection, project, commit)
        )


def _address(key: bytes, base: str, whose: str, commit: str) -> str:
    return f"{base.rstrip('/')}/archives/{whose}.{_sign(key, whose, commit)}/{commit}.tar.gz"


def _in_force(connection: Connection, project: str, commit: str) -> str | None:
    """The sync that put it in force may be of a later commit than the one it was first resolved from; a rollback has none."""
    found = projects.find(connection, project)
    if found is None or found.in_force is None:
        return None
    sync = syncs.find(connection, found.in_force_sync) if found.in_force_sync else None
    of = sync or revisions.find(connection, project, found.in_force)
    return found.repository if of is not None and of.commit == commit else None


def _running(connection: Connection, project: str, commit: str) -> str | None:
    going_on = (run.repository for run in runs.open_of(connection, project) if run.commit == commit)
    return next(going_on, None)


def _syncing(connection: Connection, project: str, commit: str) -> str | None:
    """MLRun has the address a moment before the sync that saves it there is over."""
    going_on = (sync for sync in syncs.open_of(connection, project) if sync.state is SyncState.SYNCING)
    return next((sync.repository for sync in going_on if sync.commit == commit), None)


def _going_on(connection: Connection, run: str, commit: str) -> str | None:
    found = runs.find(connection, run)
    return found.repository if found is not None and found.state in OPEN_RUNS and found.commit == commit else None


def _sign(key: bytes, whose: str, commit: str) -> str:
    """Neither holds a NUL, so that no two pairs are signed alike."""
    said = f"{whose}\0{commit}".encode(errors="surrogatepass")
    return base64.urlsafe_b64encode(hmac.new(key, said, hashlib.sha256).digest()).rstrip(b"=").decode()


def _equal(right: str, shown: str) -> bool:
    return hmac.compare_digest(right.encode(), shown.encode(errors="surrogatepass"))
