"""RunnerDB: what MLRun's SDK talks to instead of an API, and the one place where we learn what it does.

It is put in through the provider that MLRun's own database factory looks up (`mlrun.db.factory.RunDBContainer`);
nothing of mlrun is patched. Functions, runs and artifacts that the SDK stores are kept here and answered from here,
so that results and artifacts pass between the steps of a workflow; each becomes an event.

Without an API, a call that cannot be answered raises an error that names it: MLRun's own stand-in answers None, which
surfaces somewhere else as a puzzle. With an API, `run` passes everything through and `load` only reads: whatever would
write is kept here and never sent.
"""

import copy
import hashlib
import json
import os

from .errors import NoApi

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


def install(database, url):
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
    """Answers for MLRun's API in one job. `watcher` hears of steps and artifacts; `api` is the real one, if any."""

    def __init__(self, kind, watcher, api=None):
        self.url = "./"
        self.kind = "http" if api is not None else ""
        self.job = kind
        self.functions = {}
        self.runs = {}
        self.artifacts = []
        self.projects = {}
        self.captured = []
        self.project = lambda name: None
        self._watcher = watcher
        self._api = api

    def connect(self, secrets=None):
        if self._api is not None:
            self._api.connect(secrets)
        return self

    def __getattr__(self, name):
        import mlrun.db.httpdb

        if name.startswith("_") or not callable(getattr(mlrun.db.httpdb.HTTPRunDB, name, None)):
            raise AttributeError(name)

        def call(*arguments, **options):
            return self._other(name, arguments, options)

        return call

    def _other(self, name, arguments, options):
        """A call that is not kept here: passed on, captured, needless, or an error that names it."""
        write = name.startswith(_WRITES)
        if self.job == "load" and write:
            if name not in _NEEDLESS:
                self.captured.append(name)
            return None
        if self._api is not None:
            return getattr(self._api, name)(*arguments, **options)
        if name in _NEEDLESS:
            return None
        subject = next((argument for argument in arguments if isinstance(argument, str)), "")
        raise NoApi(name, subject, self.job)

    def _passed(self, name, *arguments, **options):
        """The API's answer where a `run` has one."""
        if self._api is not None and self.job == "run":
            return getattr(self._api, name)(*arguments, **options)
        return None

    # functions

    def store_function(self, function, name, project="", tag="", versioned=False):
        function = copy.deepcopy(function)
        tag = tag or function.get("metadata", {}).get("tag") or "latest"
        digest = hashlib.sha1(json.dumps(function, sort_keys=True, default=str).encode()).hexdigest()
        self.functions[project, name, tag] = self.functions[project, name, digest] = function
        return self._passed("store_function", function, name, project, tag, versioned) or digest

    def get_function(self, name, project="", tag="", hash_key=""):
        kept = self.functions.get((project, name, hash_key or tag or "latest"))
        if kept is None and self._api is not None:
            return self._api.get_function(name, project, tag, hash_key)
        if kept is None and self.job == "load" and self.project(project) is None:
            raise NoApi("get_function", "{}/{}".format(project, name), self.job)
        return copy.deepcopy(_found(kept, "function {}/{}".format(project, name)))

    # runs

    def store_run(self, struct, uid, project="", iter=0):  # noqa: A002 - MLRun's name
        new = (uid, iter) not in self.runs
        self.runs[uid, iter] = struct = copy.deepcopy(struct)
        self._passed("store_run", struct, uid, project, iter)
        if not iter and new:
            self._watcher.step_started(uid, struct)
        self._ended(uid, iter)

    def update_run(self, updates, uid, project="", iter=0, **options):  # noqa: A002
        from mlrun.utils import update_in

        run = self.runs.setdefault((uid, iter), {"metadata": {"uid": uid, "project": project, "iteration": iter}})
        for key, value in updates.items():
            update_in(run, key, copy.deepcopy(value))
        self._passed("update_run", updates, uid, project, iter, **options)
        self._ended(uid, iter)

    def _ended(self, uid, iteration):
        run = self.runs[uid, iteration]
        for artifact in run.get("status", {}).get("artifacts") or []:
            # A step that ran as a program of its own reports what it logged by its run.
            self._keep_artifact(artifact, artifact.get("metadata", {}).get("project", ""))
        if not iteration and run.get("status", {}).get("state") in _ENDED:
            self._watcher.step_finished(uid, run)

    def read_run(self, uid, project="", iter=0, format_=None):  # noqa: A002
        kept = self.runs.get((uid, iter))
        if kept is None and self._api is not None:
            return self._api.read_run(uid, project, iter)
        if kept is None and self.job == "load":
            raise NoApi("read_run", uid, self.job)
        return copy.deepcopy(_found(kept, "run {}".format(uid)))

    def list_runs(self, name=None, uid=None, project=None, labels=None, state=None, states=None, sort=True, **options):
        import mlrun.lists

        if self._api is not None:
            return self._api.list_runs(name, uid, project, labels, state=state, states=states, sort=sort, **options)
        if self.job == "load":
            raise NoApi("list_runs", project or "", self.job)
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

    def paginated_list_runs(self, *arguments, page=None, page_size=None, page_token=None, **options):
        return self.list_runs(*arguments, **options), None

    def watch_log(self, uid, project="", watch=True, offset=0, **options):
        if self._api is not None:
            return self._api.watch_log(uid, project, watch, offset, **options)
        return self.read_run(uid, project).get("status", {}).get("state"), offset

    # artifacts

    def store_artifact(self, key, artifact, iter=None, tag="", project="", tree=None, **options):  # noqa: A002
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

    def _keep_artifact(self, artifact, project):
        metadata = artifact["metadata"]
        content = json.dumps(artifact, sort_keys=True, default=str).encode()
        metadata.setdefault("uid", hashlib.sha1(content).hexdigest())
        metadata.setdefault("project", project)
        same = [kept for kept in self.artifacts if kept["metadata"].get("uid") == metadata["uid"]]
        if not same:
            self.artifacts.append(artifact)
            if artifact.get("kind") != "link":
                self._watcher.artifact(artifact)

    def read_artifact(self, key, tag="", iter=None, project="", tree=None, uid=None, **options):  # noqa: A002
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
            return self._api.read_artifact(key, tag, iter, project, tree, uid, **options)
        if self.job == "load":
            raise NoApi("read_artifact", "{}/{}".format(project, key), self.job)
        return _found(None, "artifact {}/{} among those that this run logged".format(project, key))

    def list_artifacts(self, name=None, project=None, tag=None, labels=None, kind=None, tree=None, **options):
        import mlrun.lists

        if self._api is not None:
            return self._api.list_artifacts(name, project, tag, labels, kind=kind, tree=tree, **options)
        if self.job == "load":
            raise NoApi("list_artifacts", project or "", self.job)
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

    def paginated_list_artifacts(self, *arguments, page=None, page_size=None, page_token=None, **options):
        return self.list_artifacts(*arguments, **options), None

    # projects

    def store_project(self, name, project):
        self.projects[name] = copy.deepcopy(project if isinstance(project, dict) else project.to_dict())
        return self._passed("store_project", name, project) or self.get_project(name)

    def create_project(self, project):
        struct = copy.deepcopy(project if isinstance(project, dict) else project.to_dict())
        self.projects[struct["metadata"]["name"]] = struct
        return self._passed("create_project", project) or self.get_project(struct["metadata"]["name"])

    def get_project(self, name):
        """A project of its own each time, as a server's answer is."""
        import mlrun

        own = self.project(name)
        if own is None and name in self.projects:
            own = mlrun.projects.MlrunProject.from_dict(copy.deepcopy(self.projects[name]))
        if own is None and self._api is not None:
            return self._api.get_project(name)
        return _found(own, "project {}".format(name))


def _found(kept, what):
    import mlrun.errors

    if kept is None:
        raise mlrun.errors.MLRunNotFoundError("there is no {} here, and no MLRun API to ask".format(what))
    return kept


def _labelled(struct, labels):
    """Whether `struct` has all of `labels`, in any of the forms that MLRun takes."""
    have = struct.get("metadata", {}).get("labels") or {}
    if isinstance(labels, str):
        labels = labels.split(",")
    if isinstance(labels, dict):
        labels = [key if value is None else "{}={}".format(key, value) for key, value in labels.items()]
    for label in labels or []:
        key, equals, value = label.partition("=")
        if key not in have or (equals and str(have[key]) != value):
            return False
    return True
