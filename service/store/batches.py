"""What comes in bursts waits here, and one thread writes it, a batch at a time: while one is on its way, the next one gathers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from service.errors import StoreUnavailable
from service.store.database import unavailable

T = TypeVar("T")
Item = TypeVar("Item")
# One answer an item, in their order.
Together = Callable[[Connection, Sequence[Item]], Sequence[T]]


@dataclass(slots=True)
class Waiting:
    change: Together[Any, Any]
    item: Any
    answer: Future[Any]


class Batches:
    """`commit` answers all of a batch, however it ends; `size` is how many they are at most."""

    def __init__(self, commit: Callable[[list[Waiting]], None], *, size: int) -> None:
        self._commit = commit
        self._size = size
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def put(self, change: Together[Item, T], item: Item, timeout_s: float) -> T:
        """The answer to this item, once it is written. Raises what `change` raised, and StoreUnavailable."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a change may not call Store.write: it would wait for itself")
        answer: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise closed()
            self._queue.append(Waiting(change, item, answer))
            self._changed.notify()
        try:
            return answer.result(timeout_s)
        except TimeoutError:
            # The change itself may have raised a TimeoutError; only an unanswered one is ours.
            if answer.done() and not answer.cancelled():
                return answer.result()
            begun = not answer.cancel()
            raise StoreUnavailable(
                f"the store did not answer within {timeout_s:g} s"
                + ("; what was to be written may still be written" if begun else "; nothing was written"),
                mend="Try again",
            ) from None
        except CancelledError:
            raise closed() from None

    def close(self) -> None:
        """Finish what waits, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while batch := self._take():
            self._commit(batch)

    def _take(self) -> list[Waiting]:
        """Everything that waits, up to a batch; nothing only when closed."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            return [self._queue.popleft() for _ in range(min(self._size, len(self._queue)))]


def groups(batch: Iterable[Waiting]) -> Iterable[list[Waiting]]:
    """Whose callers still wait, by their change; nobody has ordered them."""
    found: dict[Together[Any, Any], list[Waiting]] = {}
    for waiting in batch:
        if waiting.answer.set_running_or_notify_cancel():
            found.setdefault(waiting.change, []).append(waiting)
    return found.values()


def fail(batch: Iterable[Waiting], error: BaseException) -> None:
    """Tell everybody who has no answer yet that the database could not do it."""
    for answer in (waiting.answer for waiting in batch):
        if answer.done() or not (answer.running() or answer.set_running_or_notify_cancel()):
            continue
        refusal = unavailable(error) or StoreUnavailable(f"the store could not commit: {error}", mend="Try again")
        if isinstance(error, StoreUnavailable):
            refusal = StoreUnavailable(
                error.what, mend=error.mend
            )  # an error of its own for each thread that raises it
        refusal.__cause__ = error
        answer.set_exception(refusal)


def closed() -> StoreUnavailable:
    return StoreUnavailable("the store is closed", mend="The service is ending; try again at the next one")
