"""A run whose image MLRun has to build waits for that, and does not begin without it.

The launch of each such run looks how the build stands, and has it begun where nobody did. So several runs share one build, and a run whose
build failed since it was queued ends with the end of the builder's log; a newer run has it built anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from service.domain import image_build, image_ref, log_tail
from service.domain.images import Images
from service.domain.projects import RunnerRule
from service.domain.states import BuildState, RunState
from service.errors import LaunchFailed
from service.reconciler import images
from service.reconciler.declared import declared_by
from service.reconciler.end_run import end_run
from service.reconciler.images import KUBERNETES
from service.reconciler.rooms import Rooms
from service.store import image_builds, revisions, runs
from service.store.image_builds import Built
from service.store.runs import Run

_WAITS = "waits for its image"


@dataclass(frozen=True, slots=True)
class Wait:
    """The run does not start now: it waits for its image, or has ended with `run` None."""

    run: Run | None


def image_of(rooms: Rooms, conn: Connection, run: Run) -> str | Wait | None:
    """The image that the run is to start in, which is there."""
    if image_build.key_of(run.image, run.project) is None or (build := _build(rooms, conn, run)) is None:
        return run.image
    if _others_build(rooms, conn, run, build):
        return Wait(run)
    if rooms.images is None:
        _fail(rooms, conn, run, "there is no MLRun API any more that would build it (mlrun.api)", "")
        return Wait(None)
    one = image_builds.want(conn, build, rooms.mlrun_address, since=run.created_at, now=rooms.store.now())
    if one.state is BuildState.READY:
        return one.image or build.image
    if one.state is BuildState.FAILED:
        _fail(rooms, conn, run, one.detail, log_tail.log_tail(one.log))
        return Wait(None)
    return Wait(_waiting(conn, run, f"{_WAITS} {build.image}: {one.detail or 'it is to be built'}"))


def _others_build(rooms: Rooms, conn: Connection, run: Run, build: image_build.ImageBuild) -> bool:
    """While settings change, a replica that has others may have it built; after a while they are who is left."""
    if rooms.images is None:
        return rooms.store.others_may_know(run.created_at) is not None
    there = image_builds.find(conn, run.project, build.key)
    is_theirs = there is not None and there.api != rooms.mlrun_address and image_builds.is_open(there)
    return is_theirs and there is not None and rooms.store.others_may_know(there.queued_at) is not None


def reason_to_start(run: Run) -> dict[str, str]:
    """What a run says of itself that has waited."""
    return {"reason": "its image is built"} if run.reason.startswith(_WAITS) else {}


def is_built(conn: Connection, run: Run) -> Built | None:
    """The build of the run's image, where it is one of its project's own."""
    key = image_build.key_of(run.image, run.project)
    return image_builds.find(conn, run.project, key) if key else None


def runner_to_check(conn: Connection, run: Run, runner: RunnerRule, allowed: Images) -> RunnerRule:
    """What is held against the operator's policy: an image of the project's own stands for what it was built over."""
    built = is_built(conn, run)
    image = built.build.base_image if built else run.image
    return replace(runner, image=None if image is None or allowed.is_own(image) else image)


def check_registry(run: Run) -> None:
    """Raises LaunchFailed where the image has a name that MLRun alone can complete."""
    if run.launcher == KUBERNETES and run.image is not None and run.image.startswith(image_ref.OF_THE_SERVER):
        failure = LaunchFailed(
            f"the image {run.image} lies in MLRun's own registry, and MLRun does not say which that is",
            mend="set MLRUN_HTTPDB__BUILDER__DOCKER_REGISTRY where MLRun's API runs, as host and folder",
        )
        failure.retry = False
        raise failure


def _build(rooms: Rooms, conn: Connection, run: Run) -> image_build.ImageBuild | None:
    sync = declared_by(conn, run)
    if sync is None or (added := images.additions_of(sync)) is None:
        return None
    resolved = revisions.get(conn, run.project, run.revision).resolved
    return images.image_build(rooms.settings, run.launcher, sync.declaration, resolved, run.workflow, added)


def _waiting(conn: Connection, run: Run, reason: str) -> Run:
    if run.reason == reason:
        return run
    queued = RunState.QUEUED
    return runs.transition(conn, run.id, queued, expected=[queued], reason=reason) or run


def _fail(rooms: Rooms, conn: Connection, run: Run, why: str, printed: str) -> None:
    error = {"type": "ImageNotBuilt", "message": f"its image was not built: {why}", "traceback": printed}
    end_run(rooms, conn, run, RunState.FAILED, reason="its image was not built", error=error, log_tail=printed)
