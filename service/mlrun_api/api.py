"""MLRun's REST API as this service uses it; each method is one thing that a target or a launcher wants.

Every call has an end: `limits.OUTSIDE_WRITE_TIMEOUT_S`, a list so long for each of its pages. What differs between servers is
looked up in `versions`. Paths and parameters are those of MLRun's own client, `mlrun/db/httpdb.py` of the wheels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from service import limits
from service.mlrun_api.answers import ACCEPTED, CONFLICT, Json, entries, inner, json_of, nonsense, refusal
from service.mlrun_api.builds import Build, begun, looked_at
from service.mlrun_api.calls import Calls, end
from service.mlrun_api.connection import V1, V2, Query, path
from service.mlrun_api.versions import Feature, Server
from service.settings import Settings

_PROJECT_ENDS = frozenset({"online", "offline", "archived"})
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class MlrunApi:
    """The MLRun API server at `settings.mlrun.api`, which is set. One for each service; safe to use from several threads.

    Every method raises MlrunAway where the server was not reached or could not do it now, and MlrunRefused where it said no.
    """

    def __init__(self, settings: Settings) -> None:
        self._calls = Calls(settings)

    def server(self, *, again: bool = False) -> Server:
        """Which version it is, and what it can; asked now with `again`, so that it is well too."""
        return self._calls.server(again=again)

    def within(self, until: float) -> AbstractContextManager[None]:
        """Meanwhile, what this thread asks for ends by then (`time.monotonic`). A caller that was stopped on the way sends nothing after that."""
        return self._calls.within(until)

    def project(self, name: str) -> Json | None:
        """A project as it is stored, or None."""
        asked = self._calls.to(f"read the project {name}")
        answer = self._calls.found(asked, "GET", path("projects", name))
        return json_of(answer, asked) if answer else None

    def put_project(self, name: str, document: Json) -> Json:
        """Store a project whole, in place of what is there; as it is stored then."""
        until, asked = end(), self._calls.to(f"store the project {name}")
        answer = self._calls.good(asked, "PUT", path("projects", name), document=document, until=until)
        if answer.status != ACCEPTED:
            return json_of(answer, asked)
        # Where MLRun follows another keeper of projects, that one has to say yes first.
        for _ in self._calls.looks(asked, until):
            stored = self.project(name)
            if stored and inner(stored, "status", "state") in _PROJECT_ENDS:
                return stored
        raise AssertionError("it looks until it raises")

    def functions(self, project: str) -> dict[str, Json]:
        """All that have the tag `latest`, by name, with their code."""
        asked = self._calls.to(f"list the functions of {project}")
        listed = self._calls.pages(asked, path("projects", project, "functions"), {"tag": "latest"}, "funcs")
        return _by_name(listed, "metadata")

    def put_function(self, project: str, name: str, document: Json) -> None:
        """Store a function under the tag `latest`, in place of what is there. Its project has to be there, or it is refused (404)."""
        asked = self._calls.to(f"store the function {name} of {project}")
        query: Query = {"tag": "latest", "versioned": False}
        self._calls.good(asked, "POST", path("projects", project, "functions", name), query=query, document=document)

    def delete_function(self, project: str, name: str) -> None:
        """Delete a function with all its tags, and the schedule that has its name; one that is not there is deleted already."""
        until, asked = end(), self._calls.to(f"delete the function {name} of {project}")
        version = V2 if self._calls.can(Feature.DELETE_FUNCTION_IN_BACKGROUND, until) else V1
        where = path("projects", project, "functions", name)
        answer = self._calls.found(asked, "DELETE", where, version=version, until=until)
        if answer and answer.status == ACCEPTED:
            self._calls.done(asked, project, json_of(answer, asked), until)

    def schedules(self, project: str) -> dict[str, Json]:
        """All schedules of a project, by name."""
        asked = self._calls.to(f"list the schedules of {project}")
        answer = self._calls.found(asked, "GET", path("projects", project, "schedules"))
        return _by_name(entries(json_of(answer, asked), "schedules", answer, asked)) if answer else {}

    def delete_schedule(self, project: str, name: str) -> None:
        """Delete a schedule; one that is not there is deleted already."""
        asked = self._calls.to(f"delete the schedule {name} of {project}")
        self._calls.found(asked, "DELETE", path("projects", project, "schedules", name))

    def submit(self, project: str, workflow: str, request: Json, *, within_s: float = limits.SUBMIT_TIMEOUT_S) -> Json:
        """Run or schedule a workflow, as `request` (MLRun's WorkflowRequest) says: `{project, name, status, run_id, schedule}`.

        `workflow` is where it looks for what the request leaves out; see Feature.SCHEDULE_OF_THE_REQUEST. After MlrunAway with `sent` it may run all the same. A notification's `secret_params` are taken out of errors.
        """
        until = end(within_s)
        asked = self._calls.to(f"submit the workflow {workflow} of {project}", _secret_params(request))
        where = path("projects", project, "workflows", workflow, "submit")
        return json_of(self._calls.good(asked, "POST", where, document=request, once=True, until=until), asked)

    def run(self, project: str, uid: str) -> Json | None:
        """A run as it is stored, or None."""
        asked = self._calls.to(f"read the run {uid} of {project}")
        answer = self._calls.found(asked, "GET", path("projects", project, "runs", uid))
        if answer is None:
            return None
        if not isinstance(run := json_of(answer, asked).get("data"), dict):
            raise nonsense(asked, answer, "no run")
        return run

    def runs(
        self,
        project: str,
        *,
        name: str | None = None,
        labels: Iterable[str] = (),
        states: Iterable[str] = (),
        since: datetime | None = None,
    ) -> list[Json]:
        """Runs, without iterations of theirs, the newest first.

        `name` is the whole name, or after `~` a part of it; `labels` are `key` or `key=value`, `since` is when they began.
        """
        until, asked, wanted = end(), self._calls.to(f"list the runs of {project}"), tuple(states)
        query: dict[str, str | Iterable[str] | None] = {
            "name": name,
            "label": tuple(labels),
            "sort": "yes",
            "iter": "no",
        }
        if self._calls.can(Feature.SEVERAL_STATES, until):
            query["states"] = wanted
        elif len(wanted) == 1:
            query["state"] = wanted[0]
        if since is None and not self._calls.can(Feature.RUNS_UNFILTERED, until):
            since = _EVER
        query["start_time_from"] = since.isoformat() if since else None
        found = self._calls.pages(asked, path("projects", project, "runs"), query, "runs")
        return [run for run in found if not wanted or inner(run, "status", "state") in wanted]

    def log(self, project: str, uid: str, offset: int) -> bytes:
        """The next piece of a run's log, from this byte on; nothing where there is none yet, or no such run."""
        asked = self._calls.to(f"read the log of the run {uid} of {project}")
        query: Query = {"offset": offset, "size": limits.MLRUN_LOG_BYTES}
        where, most = path("projects", project, "logs", uid), limits.MLRUN_LOG_BYTES
        answer = self._calls.found(asked, "GET", where, query=query, most=most, cut=True)
        return answer.body if answer else b""

    def abort(self, project: str, uid: str) -> None:
        """Have a run aborted, which goes on behind the answer. One that has ended is left as it is."""
        until, asked = end(), self._calls.to(f"abort the run {uid} of {project}")
        where = path("projects", project, "runs", uid)
        if self._calls.can(Feature.ABORT_IN_BACKGROUND, until):
            answer = self._calls.any(asked, "POST", f"{where}/abort", document={}, until=until)
        else:
            answer = self._calls.any(asked, "PATCH", where, document={"status.state": "aborted"}, until=until)
        if not answer.good and answer.status != CONFLICT:
            raise refusal(answer, asked)

    def terminate(self, project: str, pipeline: str) -> None:
        """Have a workflow of Kubeflow ended, which goes on behind the answer. It takes a server with Feature.TERMINATE_PIPELINES."""
        asked = self._calls.to(f"end the workflow {pipeline} of {project} in Kubeflow")
        self._calls.good(asked, "POST", path("projects", project, "pipelines", pipeline, "terminate"))

    def workflow_id(self, project: str, workflow: str, uid: str, engine: str) -> str | None:
        """What the workflow's engine calls the run that the runner `uid` started; None while it is not known.

        Raises MlrunRefused with the answer 412 where the runner failed before it knew.
        """
        asked = self._calls.to(f"say what the runner {uid} of {project} started")
        where = path("projects", project, "workflows", workflow, "runs", uid)
        answer = self._calls.found(asked, "GET", where, query={"engine": engine or None})
        found = json_of(answer, asked).get("workflow_id") if answer else None
        return found if isinstance(found, str) and found else None

    def build(self, request: Json) -> Build:
        """Begin to build an image, as `request` (`ImageBuild.request`) says, or say that it is there already.

        After MlrunAway with `sent` it may be built all the same: `build_state` tells.
        """
        function = inner(request, "function", "metadata", "name")
        asked = self._calls.to(f"build an image as {function}")
        return begun(self._calls.good(asked, "POST", path("build", "function"), document=request, once=True), asked)

    def build_state(self, project: str, function: str, offset: int = 0) -> Build | None:
        """How a build stands, with what its builder printed from this place on; None where there is no such function."""
        asked = self._calls.to(f"say how the image {function} of {project} stands")
        query: Query = {"name": function, "project": project, "tag": "latest", "logs": "yes", "offset": offset}
        most = limits.MLRUN_LOG_BYTES
        answer = self._calls.found(asked, "GET", path("build", "status"), query=query, most=most, cut=True)
        return looked_at(answer) if answer else None

    def registry(self) -> str:
        """Where it puts the images that it builds, with the folder where they lie in one; empty where it has none."""
        asked = self._calls.to("say which registry it builds into")
        found = json_of(self._calls.good(asked, "GET", path("client-spec")), asked).get("docker_registry")
        return found.strip().rstrip("/") if isinstance(found, str) else ""

    def secret_keys(self, project: str) -> set[str]:
        """The names of a project's secrets."""
        asked = self._calls.to(f"list the names of the secrets of {project}")
        answer = self._calls.good(
            asked, "GET", path("projects", project, "secret-keys"), query={"provider": "kubernetes"}
        )
        keys = json_of(answer, asked).get("secret_keys") or []
        if not isinstance(keys, list):
            raise nonsense(asked, answer, "no names of secrets")
        return {str(key) for key in keys}

    def put_secrets(self, project: str, secrets: Mapping[str, str]) -> None:
        """Add to a project's secrets, in place of those that have the same names."""
        asked = self._calls.to(f"store secrets of {project}", secrets.values())
        document = {"provider": "kubernetes", "secrets": dict(secrets)}
        self._calls.good(asked, "POST", path("projects", project, "secrets"), document=document)

    def close(self) -> None:
        """Let connections go, and what waits for the server."""
        self._calls.close()


def _by_name(listed: Iterable[Json], *below: str) -> dict[str, Json]:
    return {str(name): one for one in listed if (name := inner(one, *below, "name"))}


def _secret_params(request: Json) -> Iterator[str]:
    """The values in its notifications that are secrets."""
    notifications = request.get("notifications")
    for notification in notifications if isinstance(notifications, list) else ():
        params: Any = inner(notification, "secret_params")
        if isinstance(params, dict):
            yield from (value for value in params.values() if isinstance(value, str))
