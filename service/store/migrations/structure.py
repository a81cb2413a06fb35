"""Which releases work with which structure of the database.

A step only adds, so that the release before goes on working on what the next one made, and can be started again on it. A step that
takes something away names the release that used it last but one: from that one on nobody misses it. The database keeps the oldest
release that works with it, since a release knows nothing of the steps that come after it.
"""

from __future__ import annotations

from service import __version__
from service.errors import StoreUnavailable


def is_behind(step: str | None, newest: str, oldest: str | None) -> bool:
    """Whether a database at `step` needs steps of ours; `oldest` is the oldest release that works with it.

    One that is ahead of us and only grew is left as it is. Raises StoreUnavailable for one that lacks what we use.
    """
    if step is None or step < newest:
        return True
    if step > newest and not is_enough(oldest):
        raise StoreUnavailable(
            f"the database was written by a newer version of the service (its structure is {step}; this version, {__version__}, knows {newest})",
            mend=f"Install {oldest or 'that version'} or newer, or restore the backup from before it",
        )
    return False


def is_enough(oldest: str | None, ours: str = __version__) -> bool:
    """Whether this release works with a database whose oldest release is `oldest`."""
    return oldest is not None and _numbers(oldest) <= _numbers(ours)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))
