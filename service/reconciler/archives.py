"""The address of a commit's archive: whoever knows it may read these files, and nothing else, for as long as they are run from.

The signature stands in the path, since MLRun's loader wants an address that ends in `.tar.gz` and drops what follows. It
is worth something while the store says so: the project's revision in force is of that commit, or a run of it goes on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from sqlalchemy import Connection

from service.store import Store, keys, projects, revisions, runs, syncs

_KEY = "archives"


def archive_url(store: Store, base: str, project: str, commit: str) -> str:
    """Below `base`, the address of this service as its reader calls it. Raises StoreUnavailable."""
    with store.read() as connection:
        key = keys.find(connection, _KEY)
    key = key or store.write(lambda connection: keys.key(connection, _KEY))
    return f"{base.rstrip('/')}/archives/{project}.{_sign(key, project, commit)}/{commit}.tar.gz"


def repository_of(store: Store, capability: str, commit: str) -> str | None:
    """The repository whose `commit` may be read; None for every reason why not."""
    project, _, signature = capability.partition(".")
    with store.read() as connection:
        key = keys.find(connection, _KEY)
        if key is None or not _equal(_sign(key, project, commit), signature):
            return None
        return _in_force(connection, project, commit) or _running(connection, project, commit)


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


def _sign(key: bytes, project: str, commit: str) -> str:
    """Neither holds a NUL, so that no two pairs are signed alike."""
    said = f"{project}\0{commit}".encode(errors="surrogatepass")
    return base64.urlsafe_b64encode(hmac.new(key, said, hashlib.sha256).digest()).rstrip(b"=").decode()


def _equal(right: str, shown: str) -> bool:
    return hmac.compare_digest(right.encode(), shown.encode(errors="surrogatepass"))
