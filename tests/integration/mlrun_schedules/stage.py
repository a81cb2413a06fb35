"""A whole service whose runs are MLRun's."""

from __future__ import annotations

from typing import Any

from service import app
from service.settings import Settings
from tests.integration.reconciler.stage import PATIENCE_S, Stage
from tests.waiting import until


class InMlrun(Stage):
    """Loads are `launcher`'s, runs are MLRun's."""

    def start(self) -> InMlrun:
        settings = Settings.model_validate(self.settings)
        self._service = app.make_service(settings)
        return self

    def newest(self) -> dict[str, Any]:
        """The newest one; without any, nothing."""
        found: dict[str, Any] = next(iter(self.get("/runs")["items"]), {})
        return found

    def until(self, state: str, seconds: float = PATIENCE_S) -> dict[str, Any]:
        until(lambda: self.newest().get("state") == state, f"the run to be {state}", seconds)
        return self.newest()
