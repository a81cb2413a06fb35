"""RunnerDB: what MLRun's SDK talks to instead of an API, and the one place where we learn what it does.

It is put in through the provider that MLRun's own database factory looks up (`mlrun.db.factory.RunDBContainer`);
nothing of mlrun is patched. Functions, runs and artifacts that the SDK stores are kept here and answered from here,
so that results and artifacts pass between the steps of a workflow; each becomes an event.

Without an API, a call that cannot be answered raises an error that names it: MLRun's own stand-in answers None, which
surfaces somewhere else as a puzzle. With an API, `run` passes everything through and `load` only reads: whatever would
write is kept here and never sent.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from typing import Any, Callable, Optional

from .errors import NoApiError
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
        self.functions: dict[tuple[str, str, str], Json] = {}
        self.runs: dict[tuple[str, int], Json] = {}
        self.artifacts: list[Json] = []
        self.projects: dict[str, Json] = {}
        self.captured: list[str] = []
        self.name = ""
        self.project: Callable[[str], Any] = lambda _name: None
        self._watcher = watcher
        self._api = api
        self._connected = False

    def connect(self, secrets: Any = None) -> RunnerDB:
        if self.job == "run":
            self._asked()  # its configuration becomes ours, as with MLRun's own client
        return self

    def _asked(self) -> Any:
        """The real API, connected when it is first needed; None where there is none."""
        if self._api is not None and not self._connected:
            self._connected = True
            self._api.connect()
        return self._api

    def __getattr__(self, name: str) -> Any:
        import mlrun.db.httpdb

        if name.startswith("_") or not callable(getattr(mlrun.db.httpdb.HTTPRunDB, name, None)):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            return self._other(name, arguments, options)

        return call

    def _other(self, name: str, arguments: tuple[Any, ...], options: Json) -> Any:
        """A call that is not kept here: passed on, captured, needless, or an error that names it."""
        write = name.startswith(_WRITES)
        if self.job == "load" and write:
            if name not in _NEEDLESS:
                self.captured.append(name)
            return None
        if self._api is not None:
            return getattr(self._asked(), name)(*arguments, **options)
        if name in _NEEDLESS:
            return None
        subject = next((argument for argument in arguments if isinstance(argument, str)), "")
        raise NoApiError(name, subject, self.job)

    def _passed(self, name: str, *arguments: Any, **options: Any) -> Any:
        """The API's answer where a `run` has one."""
        if self._api is not None and self.job == "run":
            return getattr(self._asked(), name)(*arguments, **options)
        return None

    # functions

    def store_function(
        self, function: Json, name: str, project: str = "", tag: str = "", versioned: bool = False
    ) -> str:
        function = copy.deepcopy(function)
        tag = tag or function.get("metadata", {}).get("tag") or "latest"
        digest = hashlib.sha1(json.dumps(function, sort_keys=True, default=str).encode()).hexdigest()
        self.functions[project, name, tag] = self.functions[project, name, digest] = function
        return self._passed("store_function", function, name, project, tag, versioned) or digest

    def get_function(self, name: str, project: str = "", tag: str = "", hash_key: str = "") -> Any:
        kept = self.functions.get((project, name, hash_key or tag or "latest"))
        if kept is None and self._api is not None:
            return self._asked().get_function(name, project, tag, hash_key)
        if kept is None and self.job == "load" and project != self.name:
            raise NoApiError("get_function", f"{project}/{name}", self.job)
        return copy.deepcopy(_found(kept, f"function {project}/{name}"))

    # runs

    def store_run(self, struct: Json, uid: str, project: str = "", iter: int = 0) -> None:  # noqa: A002
        new = (uid, iter) not in self.runs
        self.runs[uid, iter] = struct = copy.deepcopy(struct)
        self._passed("store_run", struct, uid, project, iter)
        if not iter and new:
            self._watcher.step_started(uid, struct)
        self._ended(uid, iter)

    def update_run(self, updates: Json, uid: str, project: str = "", iter: int = 0, **options: Any) -> None:  # noqa: A002
        from mlrun.utils import update_in

        run = self.runs.setdefault((uid, iter), {"metadata": {"uid": uid, "project": project, "iteration": iter}})
        for key, value in updates.items():
            update_in(run, key, copy.deepcopy(value))
        self._passed("update_run", updates, uid, project, iter, **options)
        self._ended(uid, iter)

    def _ended(self, uid: str, iteration: int) -> None:
        run = self.runs[uid, iteration]
        if not iteration and run.get("status", {}).get("state") in _ENDED:
            self._watcher.step_finished(uid, run)

    def read_run(self, uid: str, project: str = "", iter: int = 0, format_: Any = None) -> Any:  # noqa: A002
        kept = self.runs.get((uid, iter))
        if kept is None and self._api is not None:
            return self._asked().read_run(uid, project, iter)
        if kept is None and self.job == "load":
            raise NoApiError("read_run", uid, self.job)
        return copy.deepcopy(_found(kept, f"run {uid}"))

    def list_runs(
        self,
        name: Optional[str] = None,
        uid: Any = None,
        project: Optional[str] = None,
        labels: Any = None,
        state: Any = None,
        states: Any = None,
        sort: bool = True,
        **options: Any,
    ) -> Any:
        import mlrun.lists

        if self._api is not None:
            return self._asked().list_runs(name, uid, project, labels, state=state, states=states, sort=sort, **options)
        if self.job == "load":
            raise NoApiError("list_runs", project or "", self.job)
        wanted = {getattr(one, "value", one) for one in (states or ([state] if state else []))}
        uids = [uid] if isinstance(uid, str) else uid
        return mlrun.lists.RunList(
            copy.deepcopy(run)
            for (run_uid, iteration), run in self.runs.items()
            if (options.get("iter") or not iteration)
            and (not name or name.lstrip("~") in run["metadata"].get("name", ""))
            and (not uids or run_uid in uids)
            and (not wanted or run.get("status", {}).get("state") in wanted)
            and _labelled(run, labels)
        )

    def paginated_list_runs(
        self, *arguments: Any, page: Any = None, page_size: Any = None, page_token: Any = None, **options: Any
    ) -> tuple[Any, None]:
        return self.list_runs(*arguments, **options), None

    def watch_log(self, uid: str, project: str = "", watch: bool = True, offset: int = 0, **options: Any) -> Any:
        if self._api is not None:
            return self._asked().watch_log(uid, project, watch, offset, **options)
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
        passed = self._passed(
            "store_artifact", key, artifact, iter=iter, tag=tag, project=project, tree=tree, **options
        )
        self._keep_artifact(artifact, project)
        return passed or copy.deepcopy(artifact)

    def _keep_artifact(self, artifact: Json, project: str) -> None:
        metadata = artifact["metadata"]
        content = json.dumps(artifact, sort_keys=True, default=str).encode()
        metadata.setdefault("uid", hashlib.sha1(content).hexdigest())
        metadata.setdefault("project", project)
        same = [kept for kept in self.artifacts if kept["metadata"].get("uid") == metadata["uid"]]
        if not same:
            self.artifacts.append(artifact)
            if artifact.get("kind") != "link":
                self._watcher.artifact(artifact)

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
        for names in ("db_key", "key"):
            for kept in reversed(self.artifacts):
                metadata, spec = kept["metadata"], kept.get("spec", {})
                name = spec.get("db_key") if names == "db_key" else metadata.get("key")
                if (
                    name == key
                    and metadata.get("project", "") in ("", project)
                    and (not uid or metadata.get("uid") == uid)
                    and (not tree or metadata.get("tree") == tree)
                    and (iter is None or (metadata.get("iter") or 0) == iter)
                    and (not tag or tag == "latest" or metadata.get("tag") == tag)
                ):
                    return copy.deepcopy(kept)
        if self._api is not None:
            return self._asked().read_artifact(key, tag, iter, project, tree, uid, **options)
        if self.job == "load":
            raise NoApiError("read_artifact", f"{project}/{key}", self.job)
        return _found(None, f"artifact {project}/{key} among those that this run logged")

    def knows(self, uri: str) -> bool:
        """Whether the artifact `uri` can be read."""
        return self._api is not None or any(uri.endswith(f"^{kept['metadata']['uid']}") for kept in self.artifacts)

    def list_artifacts(
        self,
        name: Optional[str] = None,
        project: Optional[str] = None,
        tag: Optional[str] = None,
        labels: Any = None,
        kind: Optional[str] = None,
        tree: Optional[str] = None,
        **options: Any,
    ) -> Any:
        import mlrun.lists

        if self._api is not None:
            return self._asked().list_artifacts(name, project, tag, labels, kind=kind, tree=tree, **options)
        if self.job == "load":
            raise NoApiError("list_artifacts", project or "", self.job)
        return mlrun.lists.ArtifactList(
            copy.deepcopy(kept)
            for kept in self.artifacts
            if kept.get("kind") != "link"
            and (not name or name.lstrip("~") in (kept["metadata"].get("key"), kept.get("spec", {}).get("db_key")))
            and (not tag or tag in ("*", "latest") or kept["metadata"].get("tag") == tag)
            and (not kind or kept.get("kind") == kind)
            and (not tree or kept["metadata"].get("tree") == tree)
            and _labelled(kept, labels)
        )

    def paginated_list_artifacts(
        self, *arguments: Any, page: Any = None, page_size: Any = None, page_token: Any = None, **options: Any
    ) -> tuple[Any, None]:
        return self.list_artifacts(*arguments, **options), None

    # projects

    def store_project(self, name: str, project: Any) -> Any:
        self.projects[name] = copy.deepcopy(project if isinstance(project, dict) else project.to_dict())
        return self._passed("store_project", name, project) or self.get_project(name)

    def create_project(self, project: Any) -> Any:
        struct = copy.deepcopy(project if isinstance(project, dict) else project.to_dict())
        self.projects[struct["metadata"]["name"]] = struct
        return self._passed("create_project", project) or self.get_project(struct["metadata"]["name"])

    def get_project(self, name: str) -> Any:
        """A project of its own each time, as a server's answer is."""
        import mlrun

        own = self.project(name)
        if own is None and name in self.projects:
            own = mlrun.projects.MlrunProject.from_dict(copy.deepcopy(self.projects[name]))
        if own is None and self._api is not None:
            return self._asked().get_project(name)
        return _found(own, f"project {name}")


def _found(kept: Any, what: str) -> Any:
    import mlrun.errors

    if kept is None:
        raise mlrun.errors.MLRunNotFoundError(f"there is no {what} here, and no MLRun API to ask")
    return kept


def _labelled(struct: Json, labels: Any) -> bool:
    """Whether `struct` has all of `labels`, in any of the forms that MLRun takes."""
    have = struct.get("metadata", {}).get("labels") or {}
    if isinstance(labels, str):
        labels = labels.split(",")
    if isinstance(labels, dict):
        labels = [key if value is None else f"{key}={value}" for key, value in labels.items()]
    for label in labels or []:
        key, equals, value = label.partition("=")
        if key not in have or (equals and str(have[key]) != value):
            return False
    return True
