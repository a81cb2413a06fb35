"""How steps are watched, and what they hand back to the workflow.

MLRun turns an exception of a step into a text before anybody may see it; the one moment it is still there is when
MLRun logs it. So a handler on MLRun's logger looks at it then. What a step hands back is MLRun's run object, given the
parts of a Kubeflow step that a workflow may use: `after` any number of steps, and the Kubernetes settings, which have
no meaning here and are passed over with a warning.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Callable, Optional

from .api import looks_like_a_session, shown
from .database import RunnerDB
from .job import Api
from .watcher import Watcher


class _Listener(logging.Handler):
    """Sees a step's exception while MLRun logs it."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(logging.ERROR)
        self._watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        exc = sys.exc_info()[1]
        if exc is not None and record.getMessage().startswith(("Execution error", "Run error")):
            self._watcher.raised(exc)


def install(watcher: Watcher, database: RunnerDB, api: Optional[Api] = None) -> None:
    """Watch the steps of this process, through MLRun's logger and the provider of its local launcher.

    A step that is a program of its own is shown the credential of `api`, as it connects by itself.
    """
    import mlrun.launcher.factory
    import mlrun.launcher.local
    import mlrun.run
    from dependency_injector import providers
    from kfp import dsl

    logging.getLogger("mlrun").addHandler(_Listener(watcher))
    of_kubeflow = {name for name in dir(dsl.ContainerOp) if not name.startswith("_")}

    class Step(mlrun.run.RunObject):  # type: ignore[misc]  # mlrun is not typed
        """What a step hands back to the workflow."""

        @property
        def after(self) -> Callable[..., Any]:
            return lambda *_steps: self

        @after.setter
        def after(self, _one_step_only: object) -> None:
            pass

        def __getattr__(self, name: str) -> Any:
            if name not in of_kubeflow:
                raise AttributeError("{!r} object has no attribute {!r}".format("RunObject", name))
            watcher.warn(f"{self.metadata.name}: .{name}() is a setting of Kubernetes pods and is passed over here")
            return lambda *_arguments, **_options: self

    class Launcher(mlrun.launcher.local.ClientLocalLauncher):  # type: ignore[misc]
        def launch(self, *arguments: Any, **options: Any) -> Any:
            watcher.only_parent()
            watcher.launching += 1
            try:
                run = super().launch(*arguments, **options)
            finally:
                watcher.launching -= 1
            if type(run) is mlrun.run.RunObject:
                run.__class__ = Step
                _forget_unknown(run, watcher, database)
                watcher.step_finished(run.metadata.uid, run.to_dict())
            return run

        def _execute(self, runtime: Any, run: Any = None) -> Any:
            if api is None or run.spec.handler:
                return super()._execute(runtime, run)
            if looks_like_a_session(api):
                watcher.warn(
                    f"{run.metadata.name}: it runs as a program of its own, in which MLRun's client takes the token for an access "
                    "key, since it looks like an access key (dashes, more than 20 characters); give the step a handler"
                )
            with shown(api):
                return super()._execute(runtime, run)

    mlrun.launcher.factory.LauncherContainer.client_local_launcher.override(providers.Factory(Launcher))


def _forget_unknown(run: Any, watcher: Watcher, database: RunnerDB) -> None:
    """A step without a handler is a program of its own: without an API nobody tells us where its artifacts are."""
    uris = run.status.artifact_uris or {}
    unknown = [key for key, uri in uris.items() if not database.knows(uri)]
    if unknown:
        run.status.artifact_uris = {key: uri for key, uri in uris.items() if key not in unknown}
        watcher.warn(
            f"{run.metadata.name}: it runs as a program of its own, so that its artifacts ({', '.join(unknown)}) "
            "cannot be handed on without an MLRun API; give the step a handler"
        )
