from __future__ import annotations

from typing import Any

import pytest

from service import limits
from service.errors import LoadFailed
from service.launchers import EndReason, Job, JobKind, Life, LogChunk, Observation
from service.reconciler.resolve import resolve


class Stopped:
    """A launcher whose load printed more than one answer of `logs` holds, and was stopped."""

    printed = b"x" * (2 * limits.LOG_CHUNK_BYTES) + b"the last word"

    def ensure(self, job: Job) -> None:
        pass

    def observe(self, positions: dict[str, int], timeout_s: float) -> list[Observation]:
        return [Observation(job=job, life=Life.GONE, position=0, ended=EndReason.TIMED_OUT) for job in positions]

    def logs(self, job: str, offset: int = 0) -> LogChunk:
        start = max(0, len(self.printed) + offset) if offset < 0 else offset
        data = self.printed[start : start + limits.LOG_CHUNK_BYTES]
        return LogChunk(data.decode(), start + len(data), complete=True)


def test_of_a_load_that_took_too_long() -> None:
    launcher: Any = Stopped()
    job = Job(id="load", kind=JobKind.LOAD, source=lambda into: None, payload={}, timeout_s=1.0, mlrun_version="1.9.2")
    with pytest.raises(LoadFailed) as failed:
        resolve(launcher, job)
    assert failed.value.detail.endswith("the last word")
