"""Where the service keeps things: the data directory, its disk, the store in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from service.cli.doctor.findings import Case, Finding, bad, doubt, good
from service.limits import MIB
from service.store import look_at_store

# A mirror, a checkout and a runner environment want to fit.
_ROOM = 2048 * MIB
_LITTLE = 100 * MIB


def check(case: Case) -> Iterator[Finding]:
    yield from _data_dir(case.settings.data_dir)
    yield _disk(case.settings.data_dir)
    yield from _store(case)


def _data_dir(path: Path) -> Iterator[Finding]:
    mend = "set data_dir to a directory of the service's own user"
    if not os.path.exists(path):  # noqa: PTH110 - Path's raises where a folder above may not be searched
        above = _existing(path)
        if os.access(above, os.W_OK | os.X_OK):
            yield good("data_dir", f"{path} will be made when the service starts")
        else:
            yield bad("data_dir", f"{path} cannot be made: {above} is not ours to write", mend)
    elif not path.is_dir():
        yield bad("data_dir", f"{path} is no directory", mend)
    elif path.stat().st_uid != os.geteuid():
        said = f"{path} belongs to user {path.stat().st_uid}, and this is user {os.geteuid()}"
        yield doubt("data_dir", said, "run doctor and serve as the same user")
    elif not os.access(path, os.W_OK | os.X_OK):
        yield bad("data_dir", f"{path} cannot be written", mend)
    elif path.stat().st_mode & 0o077:
        yield doubt("data_dir", f"{path} is open to others", "the service closes it when it starts")
    else:
        yield good("data_dir", f"{path}, closed to others")


def _disk(path: Path) -> Finding:
    disk = os.statvfs(_existing(path))
    free = disk.f_bavail * disk.f_frsize
    said = f"{free / 1024 / MIB:.1f} GiB are free"
    if free < _LITTLE:
        return bad("disk", said, "free space, or set data_dir to another disk: nothing can be accepted when it is full")
    return good("disk", said) if free >= _ROOM else doubt("disk", said, "mirrors and checkouts may want more")


def _store(case: Case) -> Iterator[Finding]:
    found = look_at_store(case.settings)
    used = f", in use by the service (process {found.holder})" if found.holder else ""
    if found.migration is None:
        yield good("store", f"{found.where} will be made when the service starts")
    elif found.migration == found.newest:
        yield good("store", f"{found.where} opens{used}")
    elif found.migration > found.newest and found.usable:
        yield good("store", f"{found.where} opens{used}; a newer version added to it")
    elif found.migration > found.newest:
        said = f"{found.where} was written by a newer version ({found.migration}; this one knows {found.newest})"
        yield bad("store", said, "install that version again, or restore the backup from before it")
    else:
        mend = "restart the service; keep a backup" if found.holder else "starting the service does it; keep a backup"
        yield doubt("store", f"{found.where} is of version {found.migration}, to be brought to {found.newest}", mend)


def _existing(path: Path) -> Path:
    return next(place for place in (path.absolute(), *path.absolute().parents) if os.path.exists(place))  # noqa: PTH110
