"""What the steps of a sync work with: one of each room, wired by `app`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from service.errors import Stopping
from service.launchers import Launcher
from service.notifier import Notifier
from service.receiver.intake import Intake
from service.settings import Repository, Settings
from service.source import Source
from service.store import Store


@dataclass(frozen=True, slots=True)
class Rooms:
    settings: Settings
    store: Store
    source: Source
    launcher: Launcher
    notifier: Notifier
    intake: Intake
    stopping: threading.Event = field(default_factory=threading.Event)
    schedules_changed: threading.Event = field(default_factory=threading.Event)

    def check_not_stopping(self) -> None:
        """Raises Stopping: the step ends here and is done again by the next service."""
        if self.stopping.is_set():
            raise Stopping("the service is stopping")

    def repository(self, name: str) -> Repository | None:
        """The repository of that name in the settings; None when the operator has taken it out."""
        return next((repository for repository in self.settings.repositories if repository.name == name), None)
