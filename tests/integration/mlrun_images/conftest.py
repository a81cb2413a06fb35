"""A service whose runs need images that a strict MLRun builds, as far as a test says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service import app
from tests.integration.mlrun_images.stage import Images
from tests.peers.mlrun_stand_in.process import MlrunStandIn


@pytest.fixture
def stage(tmp_path: Path, mlrun_1_9: MlrunStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Images]:
    """Runs are MLRun's; loads, and where a test says so runs in pods, are from memory."""
    made = Images(tmp_path, mlrun_1_9)
    monkeypatch.setitem(app.LAUNCHERS, "process", lambda *_: made.launcher)
    monkeypatch.setitem(app.LAUNCHERS, "kubernetes", lambda *_: made.pods)
    with made:
        yield made
