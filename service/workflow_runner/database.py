"""RunnerDB: what MLRun's SDK talks to instead of an API, and the one place where we learn what it does.

It is put in through the provider that MLRun's own database factory looks up (`mlrun.db.factory.RunDBContainer`);
nothing of mlrun is patched. Functions, runs and artifacts that the SDK stores are kept here and answered from here,
so that results and artifacts pass between the steps of a workflow; each becomes an event.

Without an API, a call that cannot be answered raises an error that names it: MLRun's own stand-in answers None, which
surfaces somewhere else as a puzzle. With an API, `run` passes everything through and `load` only reads: whatever would
write is kept here and never sent.

What a step runs is noted in MLRun's API under a tag of its own: the client makes a local copy of the function for it, which would
otherwise take the place of the function that the service saved.
"""

from __future__ import annotations

import copy
import os
from typing import Any, Callable, Optional

from .api import keeps_artifacts
from .errors import NoApiError
from .job import LOAD, RUN
from .memory import Memory
from .plain import Json
from .watcher import Watcher

# The calls that change something on the server; everything else reads.
_WRITES = (
    "abort_",
    "create_",
    "del_",
    "delete_",
    "deploy_",
    "disable_",
    "enable_",
    "generate_event",
    "invoke_",
    "load_project",
    "patch_",
    "push_",
    "refresh_",
    "remote_builder",
    "reset_",
    "retry_",
    "set_",
    "start_function",
    "store_",
    "submit_",
    "tag_",
    "trigger_",
    "update_",
)
# Telling somebody is not ours to do (the service notifies), and a log is printed already.
_NEEDLESS = frozenset(
    {
        "push_pipeline_notifications",
        "push_run_notifications",
        "refresh_smtp_configuration",
        "set_run_notifications",
        "store_alert_notifications",
        "store_log",
        "store_run_notifications",
    }
)
_ENDED = ("completed", "error", "aborted")
# Of the copies of functions that steps run; it has no other meaning.
RAN = "gitops-run"


def install(database: RunnerDB, url: str) -> None:
    """Make every `get_run_db` of this process answer with `database`."""
    import mlrun
    import mlrun.db.factory
    from dependency_injector import providers

    answer = providers.Callable(lambda *_arguments, **_options: database)
    mlrun.db.factory.RunDBContainer.nop.override(answer)
    mlrun.db.factory.RunDBContainer.run_db.override(answer)
    level = mlrun.utils.logger.level
    mlrun.utils.logger.set_logger_level("ERROR")  # it would warn that there is no API, which is meant
    try:
        mlrun.mlconf.dbpath = url or "./"
    finally:
        mlrun.utils.logger.set_logger_level(level)
    os.environ["MLRUN_DBPATH"] = mlrun.mlconf.dbpath
    if mlrun.get_run_db() is not database:
        raise RuntimeError("this version of mlrun does not take its database from RunDBContainer")


class RunnerDB:
    """Answers for MLRun's API in one job. `watcher` hears of steps and artifacts; `api` is the real one, if any.

    `name` and `project` are of the job's own project: what it is called, and what `get_project` answers for it.
    """

    def __init__(self, kind: str, watcher: Watcher, api: Any = None) -> None:
        self.url = "./"
        self.kind = "http" if api is not None else ""
        self.job = kind
        self.name = ""
        self.project: Callable[[str], Any] = lambda _name: None
        self.captured: list[str] = []
        self.answered: set[str] = set()  # the calls that the real API answered
        self.memory = Memory()
        self._watcher = watcher
        self._api = api
        self._connected = False

    def connect(self, secrets: Any = None) -> RunnerDB:
        if self.job == RUN:
            self._asked()  # its configuration becomes ours, as with MLRun's own client
        return self

    def _asked(self) -> Any:
        """The real API, connected when it is first needed; None where there is none."""
        if self._api is not None and not self._connected:
            self._connected = True
            self._api.connect()
        return self._api

    def __getattr__(self, name: str) -> Any:
        """Every other call of MLRun's client."""
        import mlrun.db.httpdb

        if name.startswith("_") or not callable(getattr(mlrun.db.httpdb.HTTPRunDB, name, None)):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            if self.job == LOAD and name.startswith(_WRITES):
                if name not in _NEEDLESS:
                    self.captured.append(name)
                return None
            if name in _NEEDLESS and self._api is None:
                return None
            return self._answered(name, *arguments, **options)

        return call

    def _answered(self, name: str, *arguments: Any, **options: Any) -> Any:
        """The real API's answer, or the error that there is none."""
        if self._asked() is None:
            subject = next((argument for argument in arguments if isinstance(argument, str)), "")
            raise NoApiError(name, subject or str(options.get("project") or ""), self.job)
        self.answered.add(name)
        return getattr(self._api, name)(*arguments, **options)

    def _sent(self, name: str, *arguments: Any, **options: Any) -> Any:
        """What is kept here goes to the real API too, where a `run` has one."""
        return (
            getattr(self._asked(), name)(*arguments, **options) if self._api is not None and self.job == RUN else None
        )

    def _missing(self, call: str, subject: str, what: str) -> Any:
        """An answer about what is not kept: in a `run` all there is, is kept here; a `load` cannot know."""
        import mlrun.errors

        if self.job == LOAD:
            raise NoApiError(call, subject, self.job)
        raise mlrun.errors.MLRunNotFoundError(f"there is no {what} in this run, and no MLRun API to ask")

    # functions

    def store_function(
        self, function: Json, name: str, project: str = "", tag: str = "", versioned: bool = False
    ) -> str:
        key = self.memory.keep_function(function, name, project, tag)
        noted = versioned and not tag  # by the client itself: what is saved on purpose is not versioned
        return self._sent("store_function", function, name, project, RAN if noted else tag, versioned) or key

    def get_function(self, name: str, project: str = "", tag: str = "", hash_key: str = "") -> Any:
        import mlrun.errors

        if kept := self.memory.function(name, project, hash_key or tag):
            return kept
        if self._api is not None:
            return self._answered("get_function", name, project, tag, hash_key)
        if project == self.name:
            raise mlrun.errors.MLRunNotFoundError(f"there is no function {project}/{name} in the project")
        return self._missing("get_function", f"{project}/{name}", f"function {project}/{name}")

    # runs

    def store_run(self, struct: Json, uid: str, project: str = "", iter: int = 0) -> None:  # noqa: A002 - MLRun's name
        new = self.memory.keep_run(struct, uid, iter)
        self._sent("store_run", struct, uid, project, iter)
        if new and not iter:
            self._watcher.step_started(uid, struct)
        self._changed(uid, iter)

    def update_run(self, updates: Json, uid: str, project: str = "", iter: int = 0, **options: Any) -> None:  # noqa: A002
        self.memory.update_run(updates, uid, project, iter)
        self._sent("update_run", updates, uid, project, iter, **options)
        self._changed(uid, iter)

    def _changed(self, uid: str, iteration: int) -> None:
        run = self.memory.runs[uid, iteration]
        if not iteration and run.get("status", {}).get("state") in _ENDED:
            self._watcher.step_finished(uid, run)

    def read_run(self, uid: str, project: str = "", iter: int = 0, format_: Any = None) -> Any:  # noqa: A002
        if kept := self.memory.run(uid, iter):
            return kept
        if self._api is not None:
            return self._answered("read_run", uid, project, iter)
        return self._missing("read_run", uid, f"run {uid}")

    def list_runs(self, name: Optional[str] = None, uid: Any = None, *arguments: Any, **options: Any) -> Any:
        import mlrun.lists

        if self._api is not None or self.job == LOAD:
            return self._answered("list_runs", name, uid, *arguments, **options)
        named = dict(zip(("project", "labels", "state", "states"), arguments), **options)
        states = named.get("states") or [state for state in [named.get("state")] if state]
        found = self.memory.find_runs(name, uid, named.get("labels"), states, bool(named.get("iter")))
        return mlrun.lists.RunList(found)

    def paginated_list_runs(
        self, *arguments: Any, page: Any = None, page_size: Any = None, page_token: Any = None, **options: Any
    ) -> tuple[Any, None]:
        return self.list_runs(*arguments, **options), None

    def watch_log(self, uid: str, project: str = "", watch: bool = True, offset: int = 0, **options: Any) -> Any:
        if self._api is not None:
            return self._answered("watch_log", uid, project, watch, offset, **options)
        return self.read_run(uid, project).get("status", {}).get("state"), offset

    # artifacts

    def store_artifact(
        self,
        key: str,
        artifact: Json,
        iter: Optional[int] = None,  # noqa: A002 - MLRun's name
        tag: str = "",
        project: str = "",
        tree: Optional[str] = None,
        **options: Any,
    ) -> Json:
        artifact = copy.deepcopy(artifact)
        metadata = artifact.setdefault("metadata", {})
        for field, value in (("tree", tree), ("iter", iter), ("project", project), ("tag", tag)):
            if value and not metadata.get(field):
                metadata[field] = value
        artifact.setdefault("spec", {}).setdefault("db_key", key)
        sent = None
        if self._keeps_artifacts():
            sent = self._sent(
                "store_artifact", key, artifact, iter=iter, tag=tag, project=project, tree=tree, **options
            )
        if self.memory.keep_artifact(artifact) and artifact.get("kind") != "link":
            self._watcher.artifact(artifact)
        return sent or artifact

    def read_artifact(
        self,
        key: str,
        tag: str = "",
        iter: Optional[int] = None,  # noqa: A002 - MLRun's name
        project: str = "",
        tree: Optional[str] = None,
        uid: Optional[str] = None,
        **options: Any,
    ) -> Any:
        if kept := self.memory.artifact(key, project, tag, iter, tree, uid):
            return kept
        if self._api is not None:
            return self._answered("read_artifact", key, tag, iter, project, tree, uid, **options)
        return self._missing("read_artifact", f"{project}/{key}", f"artifact {project}/{key}")

    def knows(self, uri: str) -> bool:
        """Whether the artifact `uri` can be read."""
        return (self._api is not None and self._keeps_artifacts()) or any(
            uri.endswith(f"^{kept['metadata']['uid']}") for kept in self.memory.artifacts
        )

    def _keeps_artifacts(self) -> bool:
        """Whether there is nothing to say against sending them; said once where there is."""
        if self.job != RUN or self._asked() is None or keeps_artifacts(self._api):
            return True
        self._watcher.warn(
            f"MLRun's API is of version {self._api.server_version}, which does not take artifacts from a newer client: "
            "those of this run are not in its database"
        )
        return False

    def list_artifacts(
        self,
        name: Optional[str] = None,
        project: Optional[str] = None,
        tag: Optional[str] = None,
        labels: Any = None,
        **options: Any,
    ) -> Any:
        import mlrun.lists

        if self._api is not None or self.job == LOAD:
            return self._answered("list_artifacts", name, project, tag, labels=labels, **options)
        found = self.memory.find_artifacts(name, tag, labels, options.get("kind"), options.get("tree"))
        return mlrun.lists.ArtifactList(found)

    def paginated_list_artifacts(
        self, *arguments: Any, page: Any = None, page_size: Any = None, page_token: Any = None, **options: Any
    ) -> tuple[Any, None]:
        return self.list_artifacts(*arguments, **options), None

    # projects

    def store_project(self, name: str, project: Any) -> Any:
        self.memory.projects[name] = copy.deepcopy(project if isinstance(project, dict) else project.to_dict())
        return self._sent("store_project", name, project) or self.get_project(name)

    def create_project(self, project: Any) -> Any:
        struct = project if isinstance(project, dict) else project.to_dict()
        return self.store_project(struct["metadata"]["name"], project)

    def get_project(self, name: str) -> Any:
        """A project of its own each time, as a server's answer is."""
        import mlrun

        own = self.project(name)
        if own is None and name in self.memory.projects:
            own = mlrun.projects.MlrunProject.from_dict(copy.deepcopy(self.memory.projects[name]))
        if own is None and self._api is not None:
            return self._answered("get_project", name)
        if own is None:
            raise mlrun.errors.MLRunNotFoundError(f"there is no project {name} here, and no MLRun API to ask")
        return own
