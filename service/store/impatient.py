"""A connection to PostgreSQL that waits for no answer longer than the server may take for one.

The server ends what takes too long, and the kernel finds a network that is cut. A proxy or a load balancer on the way that takes what
we send and hands on nothing is found by neither: without a limit of our own, each thread that asks would wait for good.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg

from service import limits

# An answer that the server gives at its last moment still comes.
_MORE_S = 2.0


class ImpatientConnection(psycopg.Connection[Any]):
    """`patience_s` is how long an answer may take; None: as long as it likes, for a migration."""

    patience_s: float | None = limits.STORE_WRITE_TIMEOUT_S + _MORE_S

    def wait(self, gen: Any, *args: Any, **also: Any) -> Any:
        """What psycopg does at each step of a statement. Raises OperationalError when nothing came, and the connection is closed then."""
        return super().wait(gen if self.patience_s is None else self._until(gen, self.patience_s), *args, **also)

    def _until(self, gen: Generator[Any, Any, Any], patience_s: float) -> Generator[Any, Any, Any]:
        """`gen`, which is told each time that nothing came for a while, until it is too late."""
        began = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() - began > patience_s:
                    break
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value
        self.close()
        raise psycopg.OperationalError(f"no answer within {patience_s:g} s")


__all__ = ["ImpatientConnection"]
