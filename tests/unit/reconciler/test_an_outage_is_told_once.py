"""Every thread meets a store that is away, every second; the log is for people."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from service.errors import StoreUnavailable
from service.reconciler.outage import Outage

AWAY = StoreUnavailable("the store's database does not answer", mend="Try again")


def test_it_is_told_when_it_begins_and_when_it_is_over() -> None:
    met = Outage()
    with capture_logs() as logs:
        met.is_over()
        for _ in range(100):
            met.met(AWAY)
        met.is_over()
        met.is_over()
        met.met(AWAY)
    assert [(one["event"], one["log_level"]) for one in logs] == [
        ("the store is away; work waits for it", "warning"),
        ("the store is back", "info"),
        ("the store is away; work waits for it", "warning"),
    ]
    assert logs[0]["error"] == str(AWAY)


def test_a_long_one_is_told_again_with_how_long_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    met, now = Outage(), 1000.0
    monkeypatch.setattr("service.reconciler.outage.time.monotonic", lambda: now)
    with capture_logs() as logs:
        for second in range(100):
            now = 1000.0 + second
            met.met(AWAY)
    assert [one["seconds"] for one in logs] == [0, 30, 60, 90]
