"""What the steps of a sync work with: one of each room, wired by `app`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from service.domain.projects import Declaration
from service.errors import LaunchFailed, Stopping
from service.launchers import Launcher
from service.notifier import Notifier
from service.receiver.intake import Intake
from service.settings import Repository, Settings
from service.source import Source
from service.store import Store
from service.targets.mlrun import MlrunImages, MlrunTarget

# The launcher whose runs are MLRun's, and which loads nothing.
MLRUN = "mlrun"


@dataclass(frozen=True, slots=True)
class Rooms:
    """`launchers` by name: the one that the settings name, and those that the operator lets repositories pick.

    `target` is MLRun's DB, where the operator has one, and `images` are those that this MLRun builds. `place` names the folder and machine that all replicas have to share; empty, where
    they share the store alone.
    """

    settings: Settings
    store: Store
    source: Source
    launchers: Mapping[str, Launcher]
    notifier: Notifier
    intake: Intake
    target: MlrunTarget | None = None
    images: MlrunImages | None = None
    place: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)
    schedules_changed: threading.Event = field(default_factory=threading.Event)

    @property
    def mlrun_address(self) -> str:
        """Which MLRun API the target is; empty without one."""
        return self.settings.mlrun_address

    def check_not_stopping(self) -> None:
        """Raises Stopping: the step ends here and is done again by the next service."""
        if self.stopping.is_set():
            raise Stopping("the service is stopping")

    def launcher_for(self, declaration: Declaration) -> Launcher:
        """Where this project's jobs run: where the repository says, else where the settings say."""
        return self.launchers.get(declaration.runner.launcher or "") or self.launchers[self.settings.launcher.kind]

    def loader_for(self, declaration: Declaration) -> Launcher:
        """Where this project is loaded: where its jobs run, unless they are MLRun's, which loads nothing."""
        launcher = self.launcher_for(declaration)
        return launcher if launcher.name != MLRUN else self.launchers[self.settings.launcher.loads]

    def launcher(self, name: str) -> Launcher:
        """Raises LaunchFailed for one that the operator has taken away."""
        try:
            return self.launchers[name]
        except KeyError:
            raise LaunchFailed(
                f"the launcher {name!r} is not in use", mend="set launcher.kind or policy.launchers to it again"
            ) from None

    def repository(self, name: str) -> Repository | None:
        """The repository of that name in the settings; None when the operator has taken it out."""
        return next((repository for repository in self.settings.repositories if repository.name == name), None)
