"""Steps as events: when each began, how it ended, what it logged and the user's own traceback.

MLRun turns an exception of a step into a text before anybody may see it; the one moment it is still there is when
MLRun logs it. So a handler on MLRun's logger looks at it then. What a step hands back is MLRun's run object, given the
parts of a Kubeflow step that a workflow may use: `after` any number of steps, and the Kubernetes settings, which have
no meaning here and are passed over with a warning.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Optional

from .errors import ForkedError, describe
from .events import Events
from .job import Job
from .plain import Json


class Watcher:
    """Turns what RunnerDB is told into events, and remembers what the steps came to."""

    def __init__(self, events: Events, job: Job) -> None:
        self.results: dict[str, Json] = {}
        self.failed: list[Json] = []
        self._events = events
        self._job = job
        self._error: Optional[Json] = None
        self._names: dict[str, tuple[str, str]] = {}
        self._ended: set[str] = set()
        self._warned: set[str] = set()

    def started(self) -> None:
        self._events.emit("started")

    def step_started(self, uid: str, run: Json) -> None:
        name = run.get("metadata", {}).get("name") or uid
        count = sum(1 for other, _ in self._names.values() if other == name) + 1
        self._names[uid] = (name, name if count == 1 else f"{name}-{count}")
        self._error = None
        self._events.emit("step.started", step=self._names[uid][1], uid=uid)

    def step_finished(self, uid: str, run: Json) -> None:
        if uid in self._ended or uid not in self._names:
            return
        self._ended.add(uid)
        step = self._names[uid][1]
        status = run.get("status", {})
        results = status.get("results") or {}
        if status.get("state") == "completed":
            if results:
                self.results[step] = results
            self._events.emit("step.finished", step=step, uid=uid, state="succeeded", results=results)
            return
        message = str(status.get("error") or status.get("status_text") or status.get("state"))
        error = self._error or {"type": "StepFailed", "message": message, "traceback": message}
        self.failed.append(dict(error, step=step))
        self._events.emit("step.finished", step=step, uid=uid, state="failed", results=results, error=error)

    def artifact(self, artifact: Json) -> None:
        metadata, spec = artifact.get("metadata", {}), artifact.get("spec", {})
        producer = (spec.get("producer") or {}).get("uri") or ""
        step = self._names.get(producer.rpartition("/")[2].partition("-")[0], (None, None))[1]
        self._events.emit(
            "artifact",
            key=metadata.get("key"),
            kind=artifact.get("kind") or "artifact",
            path=spec.get("target_path") or "",
            step=step,
        )

    def raised(self, exc: BaseException) -> None:
        self._error = describe(exc, self._job)

    def warn(self, text: str) -> None:
        """Say `text` once."""
        if text not in self._warned:
            self._warned.add(text)
            self._events.emit("warning", text=text)

    def only_parent(self) -> None:
        if not self._events.ours:
            raise ForkedError("a forked child must not run steps; leave it with os._exit")


class _Listener(logging.Handler):
    """Sees a step's exception while MLRun logs it."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(logging.ERROR)
        self._watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        import sys

        exc = sys.exc_info()[1]
        if exc is not None and record.getMessage().startswith(("Execution error", "Run error")):
            self._watcher.raised(exc)


def install(watcher: Watcher) -> None:
    """Watch the steps of this process, through MLRun's logger and the provider of its local launcher."""
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
            run = super().launch(*arguments, **options)
            if type(run) is mlrun.run.RunObject:
                run.__class__ = Step
            return run

    mlrun.launcher.factory.LauncherContainer.client_local_launcher.override(providers.Factory(Launcher))
