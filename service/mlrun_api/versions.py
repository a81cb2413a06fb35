"""What differs between the MLRun API servers that we speak to, 1.5 to 1.12: the one table of its kind.

Whoever speaks to a server asks `Server.has` for a feature and never looks at its version. Each row names the version from
which on servers have the feature, what is done with it and what without, and where that is known from: a wheel's server
(only those up to 1.5.2 have one), a wheel's client (`mlrun/db/httpdb.py`, which speaks to a server of its own version), or
the pull request of mlrun/mlrun that brought it. `tests/integration/mlrun_api` asks the real server 1.5.2 and both stand-ins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.domain.mlrun_versions import Number, number
from service.errors import MlrunRefused

# Between these a server is spoken to; a newer one is taken for the newest that is known here.
OLDEST: Number = (1, 5, 0)
NEWEST: Number = (1, 12, 0)


class Feature(StrEnum):
    """What some servers have and some have not."""

    RUNS_UNFILTERED = "runs without a filter are all of them"
    SCHEDULE_OF_THE_REQUEST = "a submitted workflow has the schedule of its request"
    NOTIFICATIONS_OF_WORKFLOWS = "a submitted workflow has notifications"
    ABORT_IN_BACKGROUND = "a run is aborted by POST"
    FILES_OF_THE_IMAGE = "a submitted workflow may have its files in the runner's image"
    PAGES = "lists come in pages"
    DELETE_FUNCTION_IN_BACKGROUND = "a function is deleted by API v2"
    NODE_SELECTOR_OF_RUNNERS = "a submitted workflow has a node selector for its runner"
    RUNNERS_WAIT = "a runner ends when its workflow has ended"
    SEVERAL_STATES = "runs are asked for by several states"
    TERMINATE_PIPELINES = "a workflow of Kubeflow is ended by POST"
    RUN_SETUP = "a runner executes project_setup.py only where the workflow says so"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    feature: Feature
    since: Number
    before: str
    after: str
    source: str


DIFFERENCES = (
    Difference(
        feature=Feature.SCHEDULE_OF_THE_REQUEST,
        since=(1, 6, 0),
        before="a workflow that the saved project gives a schedule is scheduled, even if the request has none; what is "
        "submitted under a name that the project does not have is taken as the request says",
        after="the request decides",
        source="1.5.2 mlrun/api/api/endpoints/workflows.py _fill_workflow_missing_fields_from_project; pull requests 5069, 5075",
    ),
    Difference(
        feature=Feature.NOTIFICATIONS_OF_WORKFLOWS,
        since=(1, 6, 0),
        before="WorkflowRequest has no `notifications`; they are dropped",
        after="they are given to the runner's run or schedule",
        source="1.5.2 mlrun/common/schemas/workflow.py; 1.8.0 mlrun/common/schemas/workflow.py",
    ),
    Difference(
        feature=Feature.RUNS_UNFILTERED,
        since=(1, 6, 0),
        before="GET runs with no filter and iter=no is one run a name of the last week",
        after="GET runs is what the query says; clients add such a default themselves",
        source="1.5.2 mlrun/api/api/endpoints/runs.py list_runs",
    ),
    Difference(
        feature=Feature.ABORT_IN_BACKGROUND,
        since=(1, 6, 0),
        before='PATCH runs/{uid} {"status.state": "aborted"}; 409 where the run has ended',
        after="POST runs/{uid}/abort answers 202 with a background task",
        source="1.5.2 mlrun/db/httpdb.py abort_run, mlrun/api/crud/runs.py update_run; pull request 4526",
    ),
    Difference(
        feature=Feature.FILES_OF_THE_IMAGE,
        since=(1, 6, 2),
        before="a source that is no URL is refused (400)",
        after="a source that begins with / or ./ is a folder of the runner's image, kept as the parameter `project_context`",
        source="1.5.2 mlrun/api/crud/workflows.py _set_source; pull requests 5050, 5251",
    ),
    Difference(
        feature=Feature.PAGES,
        since=(1, 7, 0),
        before="lists of functions and runs are whole; `page-size` is ignored",
        after="`page` and `page-size` begin a list, `page-token` goes on with it; 404 for a token means that it has ended",
        source="pull request 5415; 1.8.0 mlrun/db/httpdb.py paginated_api_call",
    ),
    Difference(
        feature=Feature.DELETE_FUNCTION_IN_BACKGROUND,
        since=(1, 7, 0),
        before="DELETE /api/v1/projects/{project}/functions/{name} answers 204",
        after="DELETE /api/v2/... answers 202 with a background task; v1 is gone from 1.10 on",
        source="1.5.2 mlrun/api/api/endpoints/functions.py; 1.8.0 mlrun/db/httpdb.py delete_function; pull requests 5462, 7941",
    ),
    Difference(
        feature=Feature.NODE_SELECTOR_OF_RUNNERS,
        since=(1, 8, 0),
        before="WorkflowSpec has no `workflow_runner_node_selector`; it is dropped",
        after="the runner's pod has it",
        source="1.5.2 and 1.8.0 mlrun/common/schemas/workflow.py",
    ),
    Difference(
        feature=Feature.RUNNERS_WAIT,
        since=(1, 9, 0),
        before="the runner of a workflow of Kubeflow has completed when it has started it",
        after="it is told to wait for the end, and fails with its workflow",
        source="1.8.0 and 1.9.2 mlrun/projects/pipelines.py load_and_run_workflow, wait_for_completion",
    ),
    Difference(
        feature=Feature.SEVERAL_STATES,
        since=(1, 10, 0),
        before="runs are filtered by `state`",
        after="runs are filtered by `states`, any number of them",
        source="1.9.2 and 1.10.4 mlrun/db/httpdb.py _list_runs",
    ),
    Difference(
        feature=Feature.TERMINATE_PIPELINES,
        since=(1, 10, 0),
        before="nothing ends a workflow of Kubeflow but the end of its steps: those that run are aborted, and Kubeflow starts no more",
        after="POST pipelines/{id}/terminate answers with a background task",
        source="pull request 8013; 1.10.4 mlrun/db/httpdb.py terminate_pipeline",
    ),
    Difference(
        feature=Feature.RUN_SETUP,
        since=(1, 12, 0),
        before="the runner executes project_setup.py of what it loads",
        after="it does where the workflow's spec has `run_setup: true`",
        source="1.12.1 mlrun/common/schemas/workflow.py; pull request 9548",
    ),
)


@dataclass(frozen=True, slots=True)
class Server:
    """An MLRun API server: the version that it names, and what it can."""

    version: str
    features: frozenset[Feature]

    def has(self, feature: Feature) -> bool:
        return feature in self.features


def server_of(version: str) -> Server:
    """What a server of this version can; one that was built from no release is as new as any.

    Raises MlrunRefused for what is too old.
    """
    wanted = number(version)
    if wanted is None or wanted[0] == 0:
        wanted = NEWEST
    if wanted < OLDEST:
        raise MlrunRefused(
            f"the MLRun API server is {version}, and this service speaks to {_short(OLDEST)} and newer",
            mend="upgrade MLRun, or remove mlrun.api",
        )
    return Server(version, frozenset(row.feature for row in DIFFERENCES if row.since <= wanted))


def is_known(version: str) -> bool:
    """Whether the table was made with servers of this version in mind."""
    wanted = number(version)
    return wanted is not None and wanted >= OLDEST and wanted[:2] <= NEWEST[:2]


def _short(wanted: Number) -> str:
    return ".".join(map(str, wanted[:2]))
