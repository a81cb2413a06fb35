"""Saves a revision into MLRun: functions, project, and schedules, without what Git has no more.

What is to be written was planned (`domain.writes`); here it is carried out and read back. Each write puts a whole document in place of
what is there, or takes a name away, so all of it may be done again from the beginning after a crash at any line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from service import limits
from service.domain import drift, mlrun_scheduled
from service.domain.drift import Saved, There
from service.domain.planned import Action, PlannedWrite, WriteKind
from service.domain.projects import Json
from service.domain.saving import Documents
from service.errors import MlrunAway
from service.faults import point
from service.mlrun_api import Feature, MlrunApi, Server
from service.targets.mlrun import schedules

# Asked just before every write; what it raises ends the save.
Check = Callable[[], None]


class MlrunTarget:
    """Every method raises MlrunAway (again later) and MlrunRefused (it would be refused again)."""

    def __init__(self, api: MlrunApi) -> None:
        self._api = api

    def look(self, project: str) -> There:
        """What MLRun has of a project now."""
        found = self._api.project(project)
        if found is None:
            return There()
        return There(
            project=found,
            functions=self._api.functions(project),
            schedules=self._api.schedules(project),
            notifies=self._api.server().has(Feature.NOTIFICATIONS_OF_WORKFLOWS),
        )

    def apply(
        self, project: str, wanted: Documents, writes: Sequence[PlannedWrite], there: There, check: Check
    ) -> Saved:
        """Carry out `writes` of this project in their order, then read back what it came to."""
        for write in writes:
            server = self._api.server()  # after an outage it is asked, which takes time that the write is to have
            with self._after(check):
                self._write(server, project, wanted, write, there)
            point(f"mlrun.{write.kind}.{write.action}")
        check()
        point("mlrun.written")
        return self._read_back(project, wanted, writes, there)

    def leave(self, project: str, workflows: Iterable[str], check: Check) -> None:
        """MLRun fires these workflows no more. Nothing else of the project's is touched. It may be done again."""
        for name in mlrun_scheduled.ours(self._api.schedules(project), workflows):
            with self._after(check):
                schedules.remove(self._api, project, name)
            point("mlrun.left")

    @contextmanager
    def _after(self, check: Check) -> Iterator[None]:
        """One write that `check` allows, as long as it does: the time for it counts from before, whatever holds this process up then."""
        until = time.monotonic() + limits.OUTSIDE_WRITE_TIMEOUT_S
        check()
        with self._api.within(until):
            yield

    def _write(self, server: Server, project: str, wanted: Documents, write: PlannedWrite, there: There) -> None:
        if write.kind is WriteKind.PROJECT:
            self._api.put_project(project, _owned(wanted.project, there.project))
        elif write.kind is WriteKind.SCHEDULE:
            schedules.write(self._api, server, project, write, wanted.schedules)
        elif write.action is Action.REMOVE:
            self._api.delete_function(project, write.name)
        else:
            self._api.put_function(project, write.name, wanted.functions[write.name])

    def _read_back(self, project: str, wanted: Documents, writes: Iterable[PlannedWrite], there: There) -> Saved:
        """What was written is as it is now; all else as it was when the writes were planned, whatever somebody did to it meanwhile."""
        found = self._api.project(project)
        functions = self._api.functions(project) if found is not None else {}
        scheduled = self._api.schedules(project) if wanted.schedules else {}
        missing = [f"the project {project}"] if found is None else []
        missing += [f"the function {name} of {project}" for name in sorted(wanted.functions.keys() - functions.keys())]
        missing += [f"the schedule {name} of {project}" for name in sorted(wanted.schedules.keys() - scheduled.keys())]
        if found is None or missing:
            raise MlrunAway(
                f"{missing[0]} was saved into MLRun and is not there", mend="it is saved again; see who deletes it"
            )
        written = {(one.kind, one.name) for one in writes}
        read = {
            name: one if (WriteKind.FUNCTION, name) in written else there.functions[name]
            for name, one in functions.items()
            if name in wanted.functions
        }
        if (WriteKind.PROJECT, project) not in written and there.project is not None:
            found = there.project
        return Saved(
            source=drift.source_of(found),
            project=drift.kept(wanted.project, found),
            functions={name: drift.kept(one, read[name]) for name, one in wanted.functions.items()},
            workflows=wanted.workflows,
        )


def _owned(document: Json, there: Mapping[str, object] | None) -> Json:
    """With the owner that MLRun knows: saving takes a project over from nobody."""
    spec = (there or {}).get("spec")
    owner = spec.get("owner") if isinstance(spec, dict) else None
    return {**document, "spec": {**document["spec"], "owner": owner}} if owner else document
