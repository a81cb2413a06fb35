from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from service.launchers.kubernetes.view import JOBS, View
from service.launchers.kubernetes.watch import Watch
from tests.waiting import until


class Hasty:
    """A server, or what stands before it, that ends every watch as soon as it began."""

    def list(self, kind: str, **_: Any) -> tuple[list[Any], str]:
        return [], "7"

    @contextmanager
    def watch(self, kind: str, **_: Any) -> Iterator[Any]:
        yield self

    def events(self) -> Iterator[Any]:
        return iter(())

    def stop(self) -> None:
        pass


def test_is_not_asked_for_again_at_once_and_counts_as_none() -> None:
    view = View()
    hasty: Any = Hasty()
    watch = Watch(lambda: hasty, JOBS, "", view)
    watch.start()
    try:
        until(lambda: "ended before" in view.trouble(), "the trouble to be told")
    finally:
        watch.stop()
        watch.join(timeout=10)
