"""What the cluster shows of our jobs: kept here by the watches, so that looking costs no request.

A pod that was removed stays as it was last seen, since that is where it says how it ended.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.launchers.kubernetes import names

Json = Mapping[str, Any]

JOBS, PODS = "jobs", "pods"
# Removed pods that are remembered; a job has one, and is followed to its end soon after.
_REMEMBERED = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A job's Job and pods, the newest last; `gone` are removed pods as they were last seen.

    `ending_s`: how long ago each pod (by uid) was seen to be on its way out. `whole`: the watches follow, so that what
    is not here was not in the cluster a moment ago.
    """

    job: Json | None = None
    pods: tuple[Json, ...] = ()
    gone: tuple[Json, ...] = ()
    ending_s: Mapping[str, float] = field(default_factory=dict)
    whole: bool = True


class View:
    """Written by the watches and by those who make and look things up; may be asked by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._things: dict[str, dict[str, Json]] = {JOBS: {}, PODS: {}}  # by kind, then uid
        self._of: dict[str, dict[str, set[str]]] = {JOBS: {}, PODS: {}}  # by kind, then job: uids
        self._gone: OrderedDict[str, Json] = OrderedDict()
        self._dead: OrderedDict[str, None] = OrderedDict()  # uids of what was removed
        self._version: dict[str, str] = {JOBS: "", PODS: ""}  # of the last list
        self._ending: dict[str, float] = {}
        self._trouble: dict[str, str | None] = {JOBS: "not looked at yet", PODS: "not looked at yet"}
        self._changed: set[str] = set()

    def put(self, kind: str, thing: Json) -> None:
        """What was removed does not come back by the answer to a question that was asked before."""
        with self._lock:
            if _uid(thing) not in self._dead:
                self._put(kind, thing)
            self._lock.notify_all()

    def remove(self, kind: str, thing: Json) -> None:
        """`thing` is its last state."""
        with self._lock:
            self._remove(kind, thing)
            self._lock.notify_all()

    def replace(self, kind: str, things: Iterable[Json], version: str) -> None:
        """A whole list. What came to be after it was made is kept; where versions are lower than they were, the cluster was restored
        from a backup, and what is known of another time is not."""
        listed = {_uid(thing): thing for thing in things}
        with self._lock:
            restored = _is_lower(version, self._version[kind])
            self._version[kind] = version
            for uid, thing in list(self._things[kind].items()):
                if uid not in listed and (restored or not _newer(thing, version)):
                    self._remove(kind, thing)
            for uid, thing in listed.items():
                self._dead.pop(uid, None)
                if restored:
                    self._things[kind].pop(uid, None)
                self._put(kind, thing)
            if kind == PODS and self._trouble[kind] is not None:
                # Nodes could not tell either how their pods ended.
                self._ending = dict.fromkeys(self._ending, time.monotonic())
            self._trouble[kind] = None
            self._lock.notify_all()

    def lost(self, kind: str, why: str) -> bool:
        """The watch does not follow any more; False when that was known."""
        with self._lock:
            known = self._trouble[kind] is not None
            self._trouble[kind] = why
            return not known

    def trouble(self) -> str:
        """Why the view is not current; nothing when it is."""
        with self._lock:
            return next((why for why in self._trouble.values() if why), "")

    def of(self, job_id: str) -> Seen:
        key = names.job_label(job_id)
        now = time.monotonic()
        with self._lock:
            uids = self._of[PODS].get(key, ())
            jobs = _sorted(self._things[JOBS][uid] for uid in self._of[JOBS].get(key, ()))
            return Seen(
                job=jobs[-1] if jobs else None,
                pods=_sorted(self._things[PODS][uid] for uid in uids),
                gone=_sorted(pod for pod in self._gone.values() if _key(pod) == key),
                ending_s={uid: now - self._ending[uid] for uid in uids if uid in self._ending},
                whole=not any(self._trouble.values()),
            )

    def everything(self) -> list[Json]:
        """All Jobs."""
        with self._lock:
            return list(self._things[JOBS].values())

    def changes(self, timeout_s: float) -> set[str]:
        """Labels of the jobs that something was seen of since the last time; waits for the first."""
        with self._lock:
            self._lock.wait_for(lambda: bool(self._changed), timeout_s)
            changed, self._changed = self._changed, set()
            return changed

    def wake(self) -> None:
        with self._lock:
            self._changed.add("")
            self._lock.notify_all()

    def forget(self, job_id: str) -> None:
        """Its removed pods."""
        key = names.job_label(job_id)
        with self._lock:
            for uid in [uid for uid, pod in self._gone.items() if _key(pod) == key]:
                del self._gone[uid]

    def _put(self, kind: str, thing: Json) -> None:
        uid, key = _uid(thing), _key(thing)
        before = self._things[kind].get(uid)
        if before is not None and not _newer(thing, before["metadata"].get("resourceVersion", "")):
            return
        self._things[kind][uid] = thing
        self._of[kind].setdefault(key, set()).add(uid)
        if kind == PODS and thing["metadata"].get("deletionTimestamp"):
            self._ending.setdefault(uid, time.monotonic())
        self._changed.add(key)

    def _remove(self, kind: str, thing: Json) -> None:
        uid, key = _uid(thing), _key(thing)
        self._things[kind].pop(uid, None)
        self._ending.pop(uid, None)
        if (uids := self._of[kind].get(key)) is not None:
            uids.discard(uid)
            if not uids:
                del self._of[kind][key]
        self._dead[uid] = None
        if kind == PODS:
            self._gone[uid] = thing
        for remembered in (self._gone, self._dead):
            while len(remembered) > _REMEMBERED:
                remembered.popitem(last=False)
        self._changed.add(key)


def _uid(thing: Json) -> str:
    return str(thing["metadata"]["uid"])


def _key(thing: Json) -> str:
    return str((thing["metadata"].get("labels") or {}).get(names.JOB, ""))


def _sorted(things: Iterable[Json]) -> tuple[Json, ...]:
    return tuple(sorted(things, key=lambda thing: (thing["metadata"].get("creationTimestamp") or "", _uid(thing))))


def _newer(thing: Json, version: str) -> bool:
    """Versions are numbers that grow, as Kubernetes says since 1.35 and has done always; where they are none, what comes counts."""
    try:
        return int(thing["metadata"].get("resourceVersion", "")) > int(version)
    except ValueError:
        return True


def _is_lower(version: str, before: str) -> bool:
    try:
        return int(version) < int(before)
    except ValueError:
        return False
