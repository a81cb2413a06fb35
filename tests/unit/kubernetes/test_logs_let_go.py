"""Whoever reads a log stops when nobody wants it any more, whatever the pod and the store do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from service.errors import ClusterRefused, StoreUnavailable
from service.launchers import JobKind
from service.launchers.kubernetes.logs import Logs
from service.launchers.kubernetes.view import View
from service.store import Store, jobs
from service.store.jobs import PodJob
from tests.waiting import until


class Endless:
    """A pod that prints for ever."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def pieces(self) -> Iterator[bytes]:
        while not self.stopped.is_set():
            yield b"2026-01-01T12:00:00.000000001Z " + b"x" * 50_000 + b"\n"

    def stop(self) -> None:
        self.stopped.set()


class Node:
    """`gone`: nobody knows the pod any more."""

    def __init__(self) -> None:
        self.asked = 0
        self.gone = False

    @contextmanager
    def log(self, pod: str, **_: Any) -> Iterator[Endless]:
        self.asked += 1
        if self.gone:
            raise ClusterRefused(f"pods {pod} not found", answer=404)
        yield Endless()


def readers() -> int:
    return sum(thread.name == "kubernetes-log" for thread in threading.enumerate())


@pytest.fixture
def store(store: Store) -> Store:
    """With a job in it."""
    row = PodJob(id="one", launcher="kubernetes", kind=JobKind.RUN, repository="ml", commit="a", created_at=0.0)
    store.write(lambda conn: jobs.add(conn, row))
    return store


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def logs(store: Store, node: Node) -> Iterator[Logs]:
    made = Logs(lambda: node, store, View())  # type: ignore[arg-type,return-value]
    yield made
    made.close()


def test_of_a_pod_that_prints_on_where_the_store_writes_nothing(
    logs: Logs, store: Store, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> Any:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(store, "write", refuse)
    before = readers()
    logs.follow("one", "pod", "uid")
    until(lambda: node.asked > 0, "the node to be asked")
    logs.forget("one")
    until(lambda: readers() == before, "the reader to stop")


def test_of_a_job_that_another_service_saw_to_its_end(logs: Logs, node: Node) -> None:
    before = readers()
    logs.follow("one", "pod", "uid")
    until(lambda: node.asked > 0, "the node to be asked")
    logs.forget_others({"another"})
    until(lambda: readers() == before, "the reader to stop")


def test_what_was_read_once_is_followed_all_the_same(logs: Logs, node: Node) -> None:
    node.gone = True
    before = readers()
    logs.fetch("one", "pod", "uid")
    until(lambda: node.asked == 1 and readers() == before, "one reading")
    logs.follow("one", "pod", "uid")
    until(lambda: node.asked > 1, "another reading")


def test_a_bug_in_writing_keeps_no_later_log_from_being_written(
    logs: Logs, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, met = store.write, threading.Event()

    def once(change: Any) -> Any:
        if not met.is_set():
            met.set()
            raise ZeroDivisionError
        return write(change)

    monkeypatch.setattr(store, "write", once)
    logs.follow("one", "pod", "uid")

    def written() -> bool:
        with store.read() as conn:
            row = jobs.find(conn, "one")
        return row is not None and row.log_size > 0

    until(written, "a log to be written")
    assert met.is_set()
