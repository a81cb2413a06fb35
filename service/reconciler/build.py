"""Have MLRun build an image that runs wait for, follow it, and take away what MLRun needed for it. May be repeated at any line.

Before MLRun is asked the store says that it is. From then on whoever takes the work over looks the build up first: MLRun is asked again
only where it has no builder for it after a while, and not more often than `limits.BUILD_TRIES`. A second build of the same image would put the same
under the same name, so that it harms nobody; but each takes minutes of a cluster. A build that failed stays failed until a
newer run needs it.
"""

from __future__ import annotations

from http import HTTPStatus

import structlog
from sqlalchemy import Connection

from service import limits
from service.domain.states import BuildState
from service.errors import GitopsError, MlrunAway, MlrunError, MlrunRefused
from service.faults import point
from service.reconciler.dispatcher import Held
from service.reconciler.in_mlrun import source_of_build
from service.reconciler.rooms import Rooms
from service.store import image_builds, runs, work
from service.store.image_builds import Built
from service.targets.mlrun import MlrunImages, Outlook, Stand

log = structlog.get_logger(__name__)

_LOOK_S = 2.0
_AWAY_S = 5.0
# Who stands before MLRun may say no in its place for a while.
_REFUSED_S = 15.0
# A function that could not be removed is tried again after so long.
_TIDY_S = 60.0


def step(rooms: Rooms, held: Held) -> float | None:
    project, _, key = held.key.partition("/")
    with rooms.store.read() as conn:
        one = image_builds.find(conn, project, key)
    if one is None:
        return None
    if rooms.images is None or one.api != rooms.mlrun_address:
        return _not_ours(rooms, held, one)
    if not image_builds.is_open(one):
        return _tidy(rooms, held, rooms.images, one)
    try:
        if one.state is BuildState.QUEUED:
            return _begin(rooms, held, rooms.images, one)
        return _follow(rooms, held, rooms.images, one)
    except MlrunAway as error:  # says nothing about the build
        _record(held, one, detail=error.what)
        return rooms.store.now() + max(_AWAY_S, error.retry_after_s)
    except MlrunRefused as error:
        return _not_told(rooms, held, one, error)


def _not_told(rooms: Rooms, held: Held, one: Built, error: MlrunRefused) -> float | None:
    """MLRun does not say how it stands. One that was asked for may be built all the same; another one is given up after a few tries."""
    if one.state is BuildState.QUEUED:
        if one.tries + 1 >= limits.BUILD_TRIES:
            return _fail(rooms, held, one, str(error))
        _record(held, one, tries=one.tries + 1, detail=error.what)
    elif rooms.store.now() > (one.begun_at or 0.0) + limits.BUILD_TIMEOUT_S:
        return _fail(rooms, held, one, f"MLRun does not tell of it: {error}")
    else:
        _record(held, one, detail=error.what)
    return rooms.store.now() + _REFUSED_S


def _not_ours(rooms: Rooms, held: Held, one: Built) -> float | None:
    """The settings name another MLRun, or none; a replica with older settings may still know this one."""
    if not image_builds.is_open(one):
        return None
    if (at := rooms.store.others_may_know(one.queued_at)) is not None:
        return at
    return _fail(rooms, held, one, "the MLRun that was to build it is not in the settings any more (mlrun.api)")


def _begin(rooms: Rooms, held: Held, images: MlrunImages, one: Built) -> float | None:
    """A builder that MLRun has already is taken over where it is at work or done."""
    if (there := images.look(one.build)) is not None and there.outlook is not Outlook.FAILED and there.said:
        taken = _asked(rooms, held, one, tries=one.tries)
        return _heard(rooms, held, taken, there) if taken is not None else rooms.store.now()
    if there is not None:
        images.tidy(one.build, held.check)
    try:
        source = source_of_build(rooms, one.build)
    except GitopsError as error:
        return _fail(rooms, held, one, str(error))
    if (begun := _asked(rooms, held, one, tries=one.tries + 1)) is None:
        return rooms.store.now()
    point("build.before-begin")
    try:
        stand = images.begin(one.build, source, held.check)
    except MlrunRefused as error:
        if 0 < error.answer < HTTPStatus.BAD_REQUEST:  # a yes that somebody spoiled on its way: it is looked up
            _record(held, begun, detail=error.what)
            return rooms.store.now() + _LOOK_S
        return _fail(rooms, held, begun, str(error))
    except MlrunAway as error:
        if error.sent:
            raise  # it is looked up
        _record(held, begun, state=BuildState.QUEUED, tries=one.tries, detail=error.what)
        return rooms.store.now() + max(_AWAY_S, error.retry_after_s)
    point("build.after-begin")
    return _heard(rooms, held, begun, stand)


def _asked(rooms: Rooms, held: Held, one: Built, *, tries: int) -> Built | None:
    """MLRun is being asked for it, which whoever comes later can see; None where it is wanted of another MLRun by now. Raises LeaseLost."""
    fresh = {"begun_at": rooms.store.now(), "tries": tries, "leftover": True, "log": "", "log_size": 0}
    return _record(held, one, state=BuildState.BUILDING, detail="MLRun is asked for it", **fresh)


def _follow(rooms: Rooms, held: Held, images: MlrunImages, one: Built) -> float | None:
    stand = images.look(one.build, one.log_size)
    lasted = rooms.store.now() - (one.begun_at or 0.0)
    if stand is not None and (stand.said or stand.outlook is not Outlook.GOES_ON):
        return _heard(rooms, held, one, stand)
    if lasted < limits.BUILD_DOUBT_S:
        return rooms.store.now() + _LOOK_S
    if one.tries < limits.BUILD_TRIES:
        _record(held, one, state=BuildState.QUEUED, detail="MLRun has no builder for it; it is asked again")
        return rooms.store.now()
    return _fail(rooms, held, one, f"MLRun was asked for it {one.tries} times and has no builder for it")


def _heard(rooms: Rooms, held: Held, one: Built, stand: Stand) -> float | None:
    """What MLRun says of it becomes its state."""
    printed = (one.log + stand.log.decode("utf-8", "replace"))[-limits.BUILD_LOG_BYTES :]
    also = {"log": printed, "log_size": one.log_size + stand.read}
    if stand.outlook is Outlook.READY:
        return _end(rooms, held, one, state=BuildState.READY, image=stand.image, detail="it is built", **also)
    if stand.outlook is Outlook.FAILED:
        return _fail(rooms, held, one, f"MLRun could not build it: its builder ended with {stand.said}", **also)
    if rooms.store.now() > (one.begun_at or 0.0) + limits.BUILD_TIMEOUT_S:
        return _fail(
            rooms, held, one, f"MLRun did not build it within {limits.BUILD_TIMEOUT_S / 3600:.0f} hours", **also
        )
    _record(held, one, detail=f"MLRun builds it: {stand.said}" if stand.said else "MLRun builds it", **also)
    return rooms.store.now() + _LOOK_S


def _fail(rooms: Rooms, held: Held, one: Built, why: str, **also: object) -> float | None:
    log.warning("an image was not built", project=one.project, image=one.build.image, why=why)
    return _end(rooms, held, one, state=BuildState.FAILED, detail=why, **also)


def _end(rooms: Rooms, held: Held, one: Built, **values: object) -> float | None:
    """Whoever waits for it is called; not in the same transaction, as those who launch lock their own work before this one."""
    _record(held, one, ended_at=rooms.store.now(), **values)
    point("build.ended")
    rooms.store.write(lambda conn: _call(rooms, conn, one))
    return rooms.store.now()


def _call(rooms: Rooms, conn: Connection, one: Built) -> None:
    for run in runs.open_of(conn, one.project):
        work.want(conn, "launch", run.id, now=rooms.store.now())


def _tidy(rooms: Rooms, held: Held, images: MlrunImages, one: Built) -> float | None:
    """The builder's function is nobody's."""
    if not one.leftover:
        return None
    try:
        images.tidy(one.build, held.check)
    except MlrunError as error:
        log.warning(
            "MLRun keeps the function of an image for now; it is tried again", function=one.build.name, error=str(error)
        )
        return rooms.store.now() + _TIDY_S
    point("build.tidied")
    _record(held, one, leftover=False)
    return None


def _record(held: Held, one: Built, **values: object) -> Built | None:
    return held.write(lambda conn: image_builds.record(conn, one, **values))
