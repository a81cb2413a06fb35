"""A job that ended before anybody claimed it is started anew: what was left of the attempt before, and what is done about that still,
does not harm the next one. The cluster is a dict here, since these are moments that nobody can hold on to in a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.errors import ClusterAway, ClusterRefused, LaunchFailed
from service.launchers import EndReason, JobKind
from service.launchers.kubernetes import KubernetesLauncher, errands, names
from service.launchers.kubernetes.logs import Logs
from service.launchers.kubernetes.placing import Placing
from service.launchers.kubernetes.tending import Tending
from service.launchers.kubernetes.view import JOBS, PODS, View
from service.settings import Kubernetes, Settings
from service.store import Store, jobs
from service.store.jobs import PodJob
from tests.waiting import until

POD = "01234567-89ab-cdef-0123-456789abcdef"


class Cluster:
    """What of the API is used here. `looked` is called before pods are listed."""

    namespace = "runners"

    def __init__(self) -> None:
        self.things: dict[tuple[str, str], dict[str, Any]] = {}
        self.made = 0
        self.away = False
        self.looked: Callable[[], object] = lambda: None

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        if self.away:
            raise ClusterAway("it does not answer")
        return self.things.get((kind, name))

    def create(self, kind: str, manifest: dict[str, Any]) -> dict[str, Any] | None:
        key = kind, manifest["metadata"]["name"]
        if key in self.things:
            return None
        self.made += 1
        marks = {"uid": f"uid-{self.made}", "resourceVersion": str(self.made)}
        self.things[key] = {**manifest, "metadata": {**manifest["metadata"], **marks}}
        return self.things[key]

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> dict[str, Any] | None:
        known = self.things.get((kind, name))
        if known is not None:
            known["metadata"].update(change.get("metadata", {}))
        return known

    def delete(self, kind: str, name: str, uid: str | None = None, **_: Any) -> bool:
        known = self.things.get((kind, name))
        if known is None or uid not in (None, known["metadata"]["uid"]):
            return False
        del self.things[kind, name]
        return True

    def list(self, kind: str, **_: Any) -> tuple[list[dict[str, Any]], str]:
        found = [thing for (known, _), thing in self.things.items() if known == kind]
        self.looked()
        return found, str(self.made)


def pod(job: str) -> dict[str, Any]:
    labels = names.labels("default", job, "run", "")
    return {
        "metadata": {"name": f"{job}-pod", "uid": POD, "labels": labels, "resourceVersion": "9"},
        "spec": {"containers": [{"name": "runner"}]},
        "status": {"phase": "Running"},
    }


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def placing(cluster: Cluster) -> Placing:
    return Placing(Kubernetes(), lambda: cluster, View(), lambda job: {"id": job}, b"program")  # type: ignore[arg-type,return-value]


@pytest.fixture
def tended(cluster: Cluster, placing: Placing, store: Store) -> Iterator[Tending]:
    view = placing._view
    for kind in (JOBS, PODS):
        view.replace(kind, [], "1")
    logs = Logs(lambda: cluster, store, view)  # type: ignore[arg-type,return-value]
    made = Tending(lambda: cluster, store, view, placing, logs, 900.0)  # type: ignore[arg-type,return-value]
    yield made
    made.stop()
    if made.is_alive():
        made.join(timeout=10)
    logs.close()


def add(store: Store, id_: str) -> None:
    row = PodJob(
        document={"job": {}},
        id=id_,
        launcher="kubernetes",
        kind=JobKind.RUN,
        repository="ml",
        commit="a",
        created_at=store.now(),
        detail="made",
    )
    store.write(lambda conn: jobs.add(conn, row))


def end(store: Store, id_: str) -> None:
    store.write(lambda conn: jobs.end(conn, id_, EndReason.EVICTED, now=store.now() - 1000))


def found(store: Store, id_: str) -> PodJob:
    with store.read() as conn:
        return jobs.get(conn, id_)


def owners(cluster: Cluster, job_id: str) -> list[str]:
    secret = cluster.get("secrets", names.job_name(job_id))
    assert secret is not None
    return [owner["uid"] for owner in secret["metadata"]["ownerReferences"]]


def uid(cluster: Cluster, job_id: str) -> str:
    made = cluster.get("jobs", names.job_name(job_id))
    assert made is not None
    return str(made["metadata"]["uid"])


def test_it_does_not_get_the_secret_that_goes_with_the_job_before(cluster: Cluster, placing: Placing, job: Any) -> None:
    one = job()
    placing.place(one)
    before = uid(cluster, one.id)
    assert owners(cluster, one.id) == [before]
    placing.clear(one.id, lambda: True)
    placing.place(one)
    assert owners(cluster, one.id) == [uid(cluster, one.id)] != [before]


def test_a_secret_that_another_attempt_left_gets_its_own_job_as_the_owner(
    cluster: Cluster, placing: Placing, job: Any
) -> None:
    one = job()
    placing.place(one)
    cluster.delete("jobs", names.job_name(one.id))  # and whoever removes what belonged to it has not come by yet
    placing.place(one)
    assert owners(cluster, one.id) == [uid(cluster, one.id)]


def test_no_secret_is_made_without_its_job(
    cluster: Cluster, placing: Placing, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = cluster.create

    def refuse_jobs(kind: str, manifest: Any) -> Any:
        if kind == "jobs":
            raise ClusterRefused("no more Jobs here", answer=403)
        return create(kind, manifest)

    monkeypatch.setattr(cluster, "create", refuse_jobs)
    one = job()
    with pytest.raises(LaunchFailed):
        placing.place(one)
    assert cluster.get("secrets", names.job_name(one.id)) is None


@pytest.fixture
def launcher(cluster: Cluster, store: Store) -> Iterator[KubernetesLauncher]:
    settings = {"server": {"internal_url": "http://service"}, "launcher": {"kubernetes": {"kubeconfig": "none"}}}
    made = KubernetesLauncher(Settings.model_validate(settings), store, b"program")
    made._client = cluster  # type: ignore[assignment]
    made._start = lambda: None  # type: ignore[method-assign]
    yield made
    made._client = None
    made.close()


@pytest.mark.parametrize("late", ["before it looked", "after it looked"])
def test_it_is_not_removed_by_a_service_that_still_clears_what_the_one_before_left(
    cluster: Cluster, placing: Placing, launcher: KubernetesLauncher, store: Store, job: Any, late: str
) -> None:
    """One that stood still for longer than its lease, while another one began the job anew, whose pod has claimed it."""
    one = job()
    launcher.ensure(one)
    first = pod(one.id)
    end(store, one.id)
    if late == "after it looked":
        cluster.things["pods", first["metadata"]["name"]] = first
    times: list[int] = []

    def meanwhile() -> None:
        if not times:
            times.append(1)
            launcher.ensure(one)
            second = pod(one.id)
            second["metadata"] |= {"name": "second", "uid": f"{POD[:-1]}0"}
            cluster.things["pods", "second"] = second
            assert store.write(lambda conn: jobs.claim(conn, one.id, f"{POD[:-1]}0_x", "{}", now=store.now()))

    cluster.looked = meanwhile
    launcher.ensure(one)
    assert times
    assert {kind for kind, _ in cluster.things} == {"configmaps", "secrets", "jobs", "pods"}
    assert ("pods", "second") in cluster.things
    assert found(store, one.id).ended is None


def test_nobody_claims_it_while_what_the_one_before_left_is_removed(
    cluster: Cluster, launcher: KubernetesLauncher, store: Store, job: Any
) -> None:
    one = job()
    launcher.ensure(one)
    cluster.things["pods", f"{one.id}-pod"] = pod(one.id)
    end(store, one.id)
    claims: list[bool] = []

    def claim() -> None:
        claims.append(store.write(lambda conn: jobs.claim(conn, one.id, f"{POD}_x", "{}", now=store.now())))

    cluster.looked = claim
    launcher.ensure(one)
    assert claims and not any(claims)
    assert found(store, one.id).ended is None
    claim()
    assert claims[-1], "the next attempt may"


@pytest.mark.parametrize("is_over", [True, False])
def test_it_is_not_let_go_by_a_look_at_the_one_before(
    cluster: Cluster, placing: Placing, job: Any, is_over: bool
) -> None:
    """Whether the store was asked before or after it was begun."""
    one = job()
    placing.place(one)

    def meanwhile() -> bool:
        placing.clear(one.id, lambda: True)
        placing.place(one)
        return is_over

    placing.let_go(one.id, meanwhile, keep=False)
    assert {kind for kind, _ in cluster.things} == {"configmaps", "secrets", "jobs"}
    placing.let_go(one.id, lambda: True, keep=False)
    assert {kind for kind, _ in cluster.things} == {"configmaps"}


@pytest.mark.parametrize("claimed", [False, True])
def test_it_is_not_let_go_with_the_one_before(
    cluster: Cluster,
    placing: Placing,
    tended: Tending,
    store: Store,
    job: Any,
    monkeypatch: pytest.MonkeyPatch,
    claimed: bool,
) -> None:
    monkeypatch.setattr(errands, "_LINGER_S", 0.0)
    for id_ in ("again", "over"):
        add(store, id_)
        end(store, id_)
        placing.place(job(id=id_))
        tended.let_go(id_)
    store.write(lambda conn: jobs.begin_again(conn, "again", {"job": {}}))
    if claimed:
        placing._view.put(PODS, pod("again"))
        assert store.write(lambda conn: jobs.claim(conn, "again", f"{POD}_x", "{}", now=store.now()))
    tended.start()
    until(lambda: cluster.get("jobs", names.job_name("over")) is None, "what is over to be deleted")
    assert cluster.get("jobs", names.job_name("again")) is not None
    assert found(store, "again").cancel is None


def test_a_job_that_is_claimed_while_it_is_looked_for_is_not_called_deleted(
    cluster: Cluster, tended: Tending, store: Store
) -> None:
    add(store, "one")

    def claim() -> None:
        store.write(lambda conn: jobs.claim(conn, "one", f"{POD}_{'x' * 24}", '{"event":"claimed"}', now=store.now()))
        cluster.things["pods", "one-pod"] = pod("one")

    cluster.looked = claim
    tended.start()
    until(lambda: tended._view.of("one").pods, "the pod to be seen")
    assert found(store, "one").ended is None


def test_what_a_killed_service_did_not_forget_is_forgotten_though_the_cluster_has_nothing_of_it(
    tended: Tending, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "_SWEEP_S", 0.0)
    add(store, "one")
    end(store, "one")
    tended.start()
    until(lambda: found(store, "one").document is None, "what the job was to be forgotten")


def test_nobody_asks_a_node_that_is_gone_for_a_log(
    cluster: Cluster, tended: Tending, placing: Placing, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer would take longer than anybody waits, and the ends of other jobs with it."""
    asked: list[str] = []
    monkeypatch.setattr(tended._logs, "finish", lambda job, *_: asked.append(job))
    add(store, "one")
    store.write(lambda conn: jobs.claim(conn, "one", f"{POD}_{'x' * 24}", '{"event":"claimed"}', now=store.now()))
    lost = pod("one")
    lost["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    lost["status"]["reason"] = "NodeLost"
    placing._view.put(PODS, lost)
    tended.start()
    until(lambda: found(store, "one").ended is EndReason.NODE_LOST, "the end of the job")
    assert asked == []
