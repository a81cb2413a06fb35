"""What befalls a cluster while runs are in it: some of it lasts, some of it takes a moment, all of it is drawn by a seed.

Nobody can draw what is not there: what hits a job waits a little for one, and is in vain without.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from service.launchers.kubernetes import names
from tests.peers.kubernetes import ApiError, Cluster, Kubelet
from tests.peers.kubernetes.meddler import Answer, Meddler

# Runs are hit rather than loads, which take longer and would be hit more often.
_VICTIM_S = 15.0
_LOOK_S = 0.1
_SPOILED = 0.4
# What is not answered to these.
_NEVER = {"DELETE": {409}, "GET": {409}}
# Loads are repeated, but not for ever.
_LOADS_TAKEN = 2


class Harm:
    """`done` counts what happened; `taken` has the labels of jobs whose pod was taken, so that their runs may be lost."""

    def __init__(
        self, cluster: Cluster, kubelet: Kubelet, namespace: str, meddler: Meddler, chance: random.Random
    ) -> None:
        self.done: Counter[str] = Counter()
        self.taken: set[str] = set()
        self._cluster, self._kubelet, self._namespace, self._meddler = cluster, kubelet, namespace, meddler
        self._random = chance
        self._lasting = _Deck(
            chance, [self._api_stands_still, self._api_is_away, self._answers_are_bad, self._node_is_silent]
        )
        self._sudden = _Deck(
            chance,
            [
                self._api_restarts,
                self._watches_are_cut,
                self._pod_is_deleted,
                self._pod_is_killed,
                self._job_is_deleted,
                self._secret_is_deleted,
            ],
        )

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """For as long as the caller does something, and a moment more."""
        fault = self._lasting.draw()
        self.done[_words(fault)] += 1
        with contextmanager(fault)():
            yield
            time.sleep(self._random.uniform(0, 4))

    def sudden(self) -> None:
        fault = self._sudden.draw()
        self.done[_words(fault) if fault() is not False else f"in vain: {_words(fault)}"] += 1

    # What lasts.

    def _api_stands_still(self) -> Iterator[None]:
        self._cluster.programs["apiserver"].pause()
        try:
            yield
        finally:
            self._cluster.programs["apiserver"].resume()

    def _api_is_away(self) -> Iterator[None]:
        self._cluster.stop_apiserver()
        try:
            yield
        finally:
            self._cluster.start_apiserver()

    def _node_is_silent(self) -> Iterator[None]:
        self._kubelet.stop()
        try:
            yield
        finally:
            self._kubelet.start()

    def _answers_are_bad(self) -> Iterator[None]:
        self._meddler.spoil = self._bad_answer
        try:
            yield
        finally:
            self._meddler.spoil = lambda _method, _path: None

    def _bad_answer(self, method: str, path: str) -> Answer:
        """What a server under stress says; 410 is said of lists and watches alone."""
        if self._random.random() > _SPOILED:
            return None
        codes = {401, 409, 429, 500, 503} - _NEVER.get(method, set())
        if method == "GET" and path.partition("?")[0].endswith(("/jobs", "/pods")):
            codes.add(410)
        code = self._random.choice(sorted(codes))
        body = b'{"kind":"Status","status":"Failure","message":"spoiled by the test","code":%d}' % code
        return code, {"Content-Type": "application/json", **({"Retry-After": "1"} if code == 429 else {})}, body

    # What takes a moment. False: there was nothing to hit.

    def _api_restarts(self) -> None:
        self._cluster.restart_apiserver()

    def _watches_are_cut(self) -> None:
        self._meddler.cut()

    def _pod_is_deleted(self) -> bool:
        return self._hit("pods", lambda pod: self._delete("api/v1", "pods", pod))

    def _pod_is_killed(self) -> bool:
        return self._hit("pods", lambda pod: self._kubelet.kill(self._namespace, pod["metadata"]["name"]))

    def _job_is_deleted(self) -> bool:
        return self._hit("jobs", lambda job: self._delete("apis/batch/v1", "jobs", job))

    def _secret_is_deleted(self) -> bool:
        """What a pod has read it needs no more, and one that has not is started again: so nothing is taken."""
        return self._hit("jobs", lambda job: self._delete("api/v1", "secrets", job), takes=False)

    def _hit(self, kind: str, how: Callable[[Any], object], *, takes: bool = True) -> bool:
        deadline = time.monotonic() + _VICTIM_S
        while time.monotonic() < deadline:
            try:
                victims = [one for one in self._open(kind) if not takes or self._may_take(one)]
                runs = [one for one in victims if _sync_of(_label(one)) is None]
                if runs or (victims and time.monotonic() > deadline - _VICTIM_S / 2):
                    victim = self._random.choice(runs or victims)
                    if takes:
                        self.taken.add(_label(victim))
                    how(victim)
                    return True
            except (ApiError, httpx.TransportError, LookupError):
                pass  # it went by itself meanwhile
            time.sleep(_LOOK_S)
        return False

    def _open(self, kind: str) -> list[Any]:
        """Those that have not ended."""
        group = "apis/batch/v1" if kind == "jobs" else "api/v1"
        found = self._cluster.api.items(f"/{group}/namespaces/{self._namespace}/{kind}")
        return [one for one in found if not one["metadata"].get("deletionTimestamp") and not _has_ended(one["status"])]

    def _may_take(self, victim: Any) -> bool:
        """A sync that lost all its loads has failed, as it should; that is for another test."""
        sync = _sync_of(_label(victim))
        return sync is None or sum(_sync_of(one) == sync for one in self.taken) < _LOADS_TAKEN

    def _delete(self, group: str, kind: str, victim: Any) -> None:
        path = f"/{group}/namespaces/{self._namespace}/{kind}/{victim['metadata']['name']}"
        self._cluster.api.delete(path, propagationPolicy="Background")


class _Deck:
    """Every one once, in any order, then again."""

    def __init__(self, chance: random.Random, cards: list[Any]) -> None:
        self._random, self._cards = chance, cards
        self._left: list[Any] = []

    def draw(self) -> Any:
        if not self._left:
            self._left = self._random.sample(self._cards, len(self._cards))
        return self._left.pop()


def _has_ended(status: Any) -> bool:
    """A pod by its phase; a Job has conditions only then."""
    return status.get("phase") in ("Succeeded", "Failed") or ("phase" not in status and "conditions" in status)


def _words(fault: Callable[[], object]) -> str:
    return fault.__name__.strip("_").replace("_", " ")


def _label(thing: Any) -> str:
    return str(thing["metadata"]["labels"][names.JOB])


def _sync_of(label: str) -> str | None:
    """Whose load it is; None of a run."""
    return label.rsplit("-", 2)[0] if label.startswith("load-") else None
