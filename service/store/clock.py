"""The clock of leases and not_before.

A hypervisor that pauses this machine stops all clocks that it has: only the database's goes on. So it is looked at with everything that
claims or renews, every few seconds at least, and never by who only wants to know the time: he may be in a transaction.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.faults import wall_clock
from service.store.database import pool_exhausted, unavailable

# It is asked so often in a row: an answer that was long on its way, or that we slept over, says little.
_ASKED_TIMES = 3
_THEIR_CLOCK = text("SELECT extract(epoch FROM clock_timestamp())::float8")


class Clock:
    """Wall time as it was when we opened plus the time that passed, or the database's clock seen the same way."""

    def __init__(self, database: Engine | None) -> None:
        self._database = database
        self._offset = wall_clock() - passed()
        self.look()

    @property
    def theirs(self) -> Clock | None:
        """Itself where it is the database's."""
        return None if self._database is None else self

    def now(self) -> float:
        return self._offset + passed()

    def look(self) -> None:
        """Raises StoreUnavailable."""
        if self._database is None:
            return
        try:
            with self._database.connect() as connection:
                self._offset = min(_ask(connection) for _ in range(_ASKED_TIMES))[1]
        except DBAPIError as error:
            if refusal := unavailable(error):
                raise refusal from error
            raise
        except PoolTimeout as error:
            raise pool_exhausted() from error

    def told(self, theirs: float, asked: float) -> None:
        """The database said that it is `theirs`, asked when so much had `passed`: at some time between then and now."""
        self._offset = min(max(self._offset, theirs - passed()), theirs - asked)


def passed() -> float:
    """Seconds on a clock that nobody sets; it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _ask(connection: Connection) -> tuple[float, float]:
    """How many seconds it took, and the offset: wrong by at most half of them."""
    before = passed()
    theirs = connection.execute(_THEIR_CLOCK).scalar_one()
    after = passed()
    return after - before, float(theirs) - (before + after) / 2
