"""Start a queued run when there is room for it. May be repeated: the launcher starts a job once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from service.domain import image_choice, policy
from service.domain.projects import Declaration, RunnerRule
from service.domain.states import ACTIVE_RUNS, RunState
from service.errors import (
    ClusterAway,
    GitopsError,
    LaunchFailed,
    LaunchHeld,
    LeaseLost,
    MlrunAway,
    Stopping,
    StoreUnavailable,
)
from service.faults import point
from service.launchers import Job, JobKind
from service.reconciler import own_image
from service.reconciler.declared import declaration_of, declared_by
from service.reconciler.discover import policy_of
from service.reconciler.dispatcher import Held
from service.reconciler.end_run import end_run
from service.reconciler.images import additions_of, images_of, runner_image
from service.reconciler.in_mlrun import as_in_force, source_for_mlrun
from service.reconciler.load import project_document
from service.reconciler.rooms import MLRUN, Rooms
from service.store import revisions, runs, unfinished, work
from service.store.runs import Run

# Without room a run is looked at again this much later; the end of another run calls it at once.
_NO_ROOM_S = 5.0
# A cluster, or a MLRun, that does not answer is asked again so often, for as long as that takes.
_AWAY_S = 5.0
LAUNCH_ATTEMPTS = 6


def step(rooms: Rooms, held: Held) -> float | None:
    run, expected = held.open(partial(begin, rooms, run_id=held.key))
    if run is None:
        return None
    if run.state == RunState.QUEUED:
        return rooms.store.now() + _NO_ROOM_S
    if run.launcher not in rooms.launchers and (at := rooms.store.others_may_know(run.created_at)) is not None:
        return at
    try:
        job, is_new = expected or held.write(lambda conn: _expected(rooms, conn, run))
        held.check()
        point("launch.before-ensure")
        rooms.launcher(run.launcher).ensure(job, is_new=is_new)
        point("launch.after-ensure")
    except (LeaseLost, StoreUnavailable, Stopping):
        raise  # says nothing about the run
    except (
        ClusterAway,
        LaunchHeld,
        MlrunAway,
    ) as error:  # nor does this; a run that waits is better than one that failed for an upgrade's sake
        _say(held, run, error.what)
        return rooms.store.now() + max(_AWAY_S, error.retry_after_s)
    except GitopsError as error:
        if error.retry and held.claim.attempts + 1 < LAUNCH_ATTEMPTS:
            raise
        _fail(rooms, held, run, error)
    return None


def begin(rooms: Rooms, conn: Connection, run_id: str) -> tuple[Run | None, tuple[Job, bool] | None]:
    """The run as `_take_slot` says, and what its launcher expects now; what keeps it from that is met, and told, later."""
    run = _take_slot(rooms, conn, run_id)
    if run is None or run.state == RunState.QUEUED:
        return run, None
    try:
        return run, _expected(rooms, conn, run)
    except GitopsError:
        return run, None


def _expected(rooms: Rooms, conn: Connection, run: Run) -> tuple[Job, bool]:
    """The job, and whether its launcher hears of it for the first time."""
    job = _job(rooms, conn, run)
    return job, rooms.launcher(run.launcher).expect(conn, job)


def _take_slot(rooms: Rooms, conn: Connection, run_id: str) -> Run | None:
    """The run, starting if there is room for it here and still queued if not; None when there is nothing to launch."""
    run = runs.get(conn, run_id)
    if run.state == RunState.STARTING:
        return run
    if run.state != RunState.QUEUED:
        return None
    if run.cancel:
        end_run(rooms, conn, run, RunState.CANCELLED, reason="cancelled before it started")
        return None
    launcher = run.launcher if run.launcher in rooms.launchers else rooms.settings.launcher.kind
    is_ours = (run.mlrun_version, run.launcher) == (rooms.settings.mlrun.version, launcher)
    if not is_ours and rooms.store.others_may_know(run.created_at) is not None:
        return run  # of a replica with other settings, which launches it as it was recorded
    if launcher == MLRUN and unfinished.find(conn, run.project, rooms.mlrun_address):
        return run  # which takes nobody's place while it waits
    now = as_in_force(conn, run) if launcher == MLRUN else {}
    also = {**now, **_as_settings_are(rooms, conn, replace(run, **now), launcher, is_other=bool(now))}
    image = own_image.image_of(rooms, conn, replace(run, **also))
    if isinstance(image, own_image.Wait):
        return image.run
    work.lock(conn, "watch", launcher)  # or two who look at the same moment both see room for one
    if runs.count_active(conn, launcher) >= rooms.settings.launcher.concurrency:
        return run
    others = runs.open_of(conn, run.project, run.workflow)
    if any(other.state in ACTIVE_RUNS or other.id < run.id for other in others):
        return run  # one of this workflow is active, or has its turn first
    work.want(conn, "watch", launcher, now=rooms.store.now())
    return runs.start(conn, run.id, **{**also, "image": image, **own_image.reason_to_start(run)})


def _as_settings_are(
    rooms: Rooms, conn: Connection, run: Run, launcher: str, *, is_other: bool
) -> dict[str, str | None]:
    """What a run is recorded with that was queued before the operator chose another MLRun or launcher, which it will run on."""
    version = rooms.settings.mlrun.version
    if (run.mlrun_version, run.launcher) == (version, launcher) and not is_other:
        return {}
    resolved = revisions.get(conn, run.project, run.revision).resolved
    sync = declared_by(conn, run)
    declaration = sync.declaration if sync else Declaration()
    image = runner_image(rooms.settings, launcher, declaration, resolved, run.workflow, additions_of(sync))
    return {"mlrun_version": version, "launcher": launcher, "image": image}


def _job(rooms: Rooms, conn: Connection, run: Run) -> Job:
    revision = revisions.get(conn, run.project, run.revision)
    declaration = declaration_of(conn, run)
    own_image.check_registry(run)
    owner = rooms.launcher(run.launcher).owner
    workflow = revision.resolved.workflows.get(run.workflow)
    if workflow is None:
        raise LaunchFailed(f"revision {run.revision} of {run.project} has no workflow {run.workflow}")
    payload: dict[str, Any] = {
        "project": project_document(rooms, run.project, run.repository, run.ref, declaration),
        "resolved": {"project": revision.resolved.project, "functions": revision.resolved.functions},
        "workflow": workflow.spec,
        "arguments": run.arguments,
        "engine": "local" if workflow.engine == "local" else "kfp",
    }
    if run.launcher == MLRUN:
        payload["source_url"] = source_for_mlrun(rooms, conn, run)
    return Job(
        id=run.id,
        kind=JobKind.RUN,
        source=lambda into: rooms.source.checkout(run.repository, run.commit, into, owner=owner),
        payload=payload,
        timeout_s=run.timeout_s,
        mlrun_version=run.mlrun_version,
        project=run.project,
        repository=run.repository,
        commit=run.commit,
        image=run.image,
        runner=_allowed(rooms, conn, run, image_choice.runner_of(declaration, workflow)),
    )


def _allowed(rooms: Rooms, conn: Connection, run: Run, runner: RunnerRule) -> RunnerRule:
    """What a plan was allowed, the operator may not allow any more; and nobody held it against the policy where runs were processes.
    Raises PlanError."""
    images = images_of(rooms.settings, run.launcher)
    if not images.in_process:
        policy.check_runner(own_image.runner_to_check(conn, run, runner, images), policy_of(rooms.settings))
    return runner


def _say(held: Held, run: Run, reason: str) -> None:
    if run.reason != reason:
        starting = RunState.STARTING
        held.write(lambda conn: runs.transition(conn, run.id, starting, expected=[starting], reason=reason))


def _fail(rooms: Rooms, held: Held, run: Run, error: GitopsError) -> None:
    """First at the launcher: what we call failed must not begin later."""
    launcher = rooms.launcher(run.launcher)
    held.check()
    launcher.cancel(run.id)
    document = {"type": error.code, "message": str(error), "traceback": error.detail}
    held.write(lambda conn: end_run(rooms, conn, run, RunState.FAILED, reason="could not be started", error=document))
    launcher.clean(run.id)
