"""What the stand-in takes and answers, as a table with the source of every row; `__main__` reads it and knows no path itself.

Sources: `sdk: function` is `mlrun/db/httpdb.py` of the wheel that the stand-in runs on; `wheel: path` another of its modules;
`1.5.2: path` the server in the last wheel that has one; `server: path` the server in the repository mlrun/mlrun, of which only
undated copies were read; `pr: number` a pull request there. Where these say less, the row says `strict`, and why.
"""

from __future__ import annotations

from dataclasses import dataclass

_PAGES = ("page", "page-size", "page-token")
_PARTITION = ("partition-by", "rows-per-partition", "partition-sort-by", "partition-order", "max-partitions")
_TIMES = tuple(f"{what}_time_{end}" for what in ("start", "last_update", "end") for end in ("from", "to"))
_RUNS = ("name", "uid", "label", "sort", "iter", "with-notifications", *_TIMES, *_PARTITION, *_PAGES)


@dataclass(frozen=True)
class Rule:
    """`here` is the module and function that does it; `takes` and `gives` are names in mlrun.common.schemas, or nothing.

    `query` are the parameters it knows. `since` and `until` (not included) are versions of MLRun. `open` needs no credential.
    """

    what: str
    method: str
    path: str
    here: str
    source: str
    takes: str = ""
    gives: str = ""
    status: int = 200
    query: tuple[str, ...] = ()
    api: str = "v1"
    since: tuple[int, int] = (1, 9)
    until: tuple[int, int] = (1, 13)
    open: bool = False
    body: bool = False


_PROJECT = "/projects/{project}"
_FUNCTION = f"{_PROJECT}/functions/{{name}}"
_RUN = f"{_PROJECT}/runs/{{uid}}"
_SCHEDULE = f"{_PROJECT}/schedules/{{name}}"
_WORKFLOW = f"{_PROJECT}/workflows/{{name}}"

RULES = (
    Rule("is well", "GET", "/healthz", "server.health", "1.5.2: api/api/endpoints/healthz.py", open=True),
    Rule(
        "says what it is",
        "GET",
        "/client-spec",
        "server.client_spec",
        "sdk: connect; 1.5.2: api/crud/client_spec.py; wheel: common/schemas/client_spec.py",
        gives="ClientSpec",
        open=True,
    ),
    Rule(
        "creates a project",
        "POST",
        "/projects",
        "projects.create",
        "sdk: create_project; server: api/endpoints/projects.py, 409 where it exists",
        takes="Project",
        gives="Project",
        status=201,
        query=("wait-for-completion",),
    ),
    Rule(
        "stores a project",
        "PUT",
        _PROJECT,
        "projects.store",
        "sdk: store_project; 1.5.2: api/utils/projects/leader.py store_project: names that differ are 409, the wanted "
        "state is the state; 1.5.2: api/db/sqldb/db.py: the time of creation stays",
        takes="Project",
        gives="Project",
        query=("wait-for-completion",),
    ),
    Rule(
        "reads a project",
        "GET",
        _PROJECT,
        "projects.read",
        "sdk: get_project; server: api/endpoints/projects.py",
        gives="ProjectOut",
        query=("format",),
    ),
    Rule(
        "lists projects",
        "GET",
        "/projects",
        "projects.names",
        "sdk: list_projects; strict: names only, which is all that its client asks for by default",
        query=("owner", "state", "format", "label"),
    ),
    Rule(
        "stores a function",
        "POST",
        _FUNCTION,
        "functions.store",
        "sdk: store_function; 1.5.2: api/utils/projects/member.py ensure_project: 404 without its project, "
        "api/db/sqldb/db.py store_function: the name in the body is that of the path, the tag is not kept in the object; "
        "server: crud/functions.py: it goes through mlrun.new_function",
        query=("tag", "versioned"),
        body=True,
    ),
    Rule(
        "reads a function",
        "GET",
        _FUNCTION,
        "functions.read",
        "sdk: get_function; server: api/endpoints/functions.py",
        query=("tag", "hash_key", "format"),
    ),
    Rule(
        "lists functions",
        "GET",
        f"{_PROJECT}/functions",
        "functions.listed",
        "sdk: _list_functions, paginated_api_call; pr: 5415; wheel: common/schemas/pagination.py",
        query=("name", "tag", "kind", "label", "since", "until", "format", "state", "hash_key", *_PAGES),
    ),
    Rule(
        "deletes a function",
        "DELETE",
        _FUNCTION,
        "functions.delete",
        "sdk: delete_function; server: api/endpoints/functions_v2.py: its schedule goes too; pr: 5462",
        gives="BackgroundTask",
        status=202,
        api="v2",
    ),
    Rule(
        "deletes a function at once",
        "DELETE",
        _FUNCTION,
        "functions.delete_at_once",
        "server: api/endpoints/functions.py, deprecated; pr: 7941 takes it away",
        status=204,
        until=(1, 10),
    ),
    Rule(
        "builds a function's image",
        "POST",
        "/build/function",
        "builds.build",
        "sdk: remote_builder; 1.5.2: api/api/endpoints/functions.py _build_function: what is wrong is 400 with a reason; "
        "1.5.2: api/utils/builder.py build_runtime: ready where there is nothing to add, else `deploying` with a pod, a target image "
        "is needed; 1.5.2: api/utils/builder.py build_image: no relative source; strict: requirements are a list, as the client "
        "sends them, and no source is over http, which kaniko (pkg/buildcontext/buildcontext.go) does not read",
        body=True,
    ),
    Rule(
        "says how a build goes",
        "GET",
        "/build/status",
        "builds.status",
        "sdk: get_builder_status; 1.5.2: api/api/endpoints/functions.py build_status, _handle_job_deploy_status: 404 without the "
        "function, the state of the pod until it has ended, without one that of the function alone, the image is that of the build, "
        "whose registry nobody completes, its log from the offset on, none while it is pending",
        query=("name", "project", "tag", "logs", "offset", "events_offset", "last_log_timestamp", "verbose"),
    ),
    Rule(
        "lists schedules",
        "GET",
        f"{_PROJECT}/schedules",
        "schedules.listed",
        "sdk: list_schedules; server: api/endpoints/schedules.py",
        gives="SchedulesOutput",
        query=("name", "kind", "label", "include_last_run", "next_run_time_since", "next_run_time_until"),
    ),
    Rule(
        "reads a schedule",
        "GET",
        _SCHEDULE,
        "schedules.read",
        "sdk: get_schedule; server: api/endpoints/schedules.py",
        gives="ScheduleOutput",
        query=("include_last_run",),
    ),
    Rule(
        "moves a schedule",
        "PUT",
        _SCHEDULE,
        "schedules.update",
        "sdk: update_schedule; 1.5.2: api/utils/scheduler.py update_schedule",
        takes="ScheduleUpdate",
    ),
    Rule(
        "deletes a schedule",
        "DELETE",
        _SCHEDULE,
        "schedules.delete",
        "sdk: delete_schedule; server: api/endpoints/schedules.py: 204 also where there is none",
        status=204,
    ),
    Rule(
        "fires a schedule",
        "POST",
        f"{_SCHEDULE}/invoke",
        "schedules.invoke",
        "sdk: invoke_schedule; server: api/endpoints/schedules.py",
    ),
    Rule(
        "runs or schedules a workflow",
        "POST",
        f"{_WORKFLOW}/submit",
        "workflows.submit",
        "sdk: submit_workflow; server: api/endpoints/workflows.py, crud/workflows.py, utils/helpers.py "
        "resolve_client_default_kfp_image; 1.5.2: api/utils/scheduler.py: five fields, no more than one job in ten minutes",
        takes="WorkflowRequest",
        gives="WorkflowResponse",
        status=202,
    ),
    Rule(
        "says what a runner started",
        "GET",
        f"{_WORKFLOW}/runs/{{uid}}",
        "workflows.workflow_id",
        "sdk: get_workflow_id; server: crud/workflows.py get_workflow_id: 412 where the runner failed",
        gives="GetWorkflowResponse",
        query=("engine",),
    ),
    Rule(
        "ends a workflow in Kubeflow",
        "POST",
        f"{_PROJECT}/pipelines/{{pipeline}}/terminate",
        "workflows.terminate",
        "sdk: terminate_pipeline of 1.10.4; pr: 8013: a background task",
        gives="BackgroundTask",
        status=202,
        query=("namespace",),
        since=(1, 10),
    ),
    Rule("stores a run", "POST", _RUN, "runs.store", "sdk: store_run", query=("iter",), body=True),
    Rule(
        "changes a run",
        "PATCH",
        _RUN,
        "runs.update",
        "sdk: update_run; server: crud/runs.py update_run: keys are dotted",
        query=("iter",),
        body=True,
    ),
    Rule("reads a run", "GET", _RUN, "runs.read", "sdk: read_run", query=("iter", "format")),
    Rule(
        "lists runs",
        "GET",
        f"{_PROJECT}/runs",
        "runs.listed",
        "sdk: _list_runs of 1.9.2 (`state`)",
        query=("state", *_RUNS),
        until=(1, 10),
    ),
    Rule(
        "lists runs",
        "GET",
        f"{_PROJECT}/runs",
        "runs.listed",
        "sdk: _list_runs of 1.12.1 (`states`)",
        query=("states", *_RUNS),
        since=(1, 10),
    ),
    Rule(
        "aborts a run",
        "POST",
        f"{_RUN}/abort",
        "runs.abort",
        "sdk: abort_run; server: api/endpoints/runs.py abort_run; pr: 4526, 4823: the task of one that has ended fails",
        gives="BackgroundTask",
        status=202,
        query=("iter",),
        body=True,
    ),
    Rule(
        "reads a log",
        "GET",
        f"{_PROJECT}/logs/{{uid}}",
        "runs.log",
        "sdk: get_log; server: api/endpoints/logs.py: the state of the run is a header, 404 without the run",
        query=("offset", "size", "attempt"),
    ),
    Rule("stores a log", "POST", f"{_PROJECT}/logs/{{uid}}", "runs.store_log", "sdk: store_log", query=("append",)),
    Rule(
        "names a project's secrets",
        "GET",
        f"{_PROJECT}/secret-keys",
        "secrets.keys",
        "sdk: list_project_secret_keys; server: api/endpoints/secrets.py",
        gives="SecretKeysData",
        query=("provider",),
    ),
    Rule(
        "stores a project's secrets",
        "POST",
        f"{_PROJECT}/secrets",
        "secrets.store",
        "sdk: create_project_secrets; server: api/endpoints/secrets.py",
        takes="SecretsData",
        status=201,
    ),
    Rule(
        "deletes a project's secrets",
        "DELETE",
        f"{_PROJECT}/secrets",
        "secrets.delete",
        "sdk: delete_project_secrets",
        status=204,
        query=("provider", "secret"),
    ),
    Rule(
        "says how a task goes",
        "GET",
        f"{_PROJECT}/background-tasks/{{name}}",
        "tasks.read",
        "sdk: get_project_background_task; wheel: common/schemas/background_task.py",
        gives="BackgroundTask",
    ),
)
