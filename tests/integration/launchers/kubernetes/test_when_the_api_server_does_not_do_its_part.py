"""The API server is away, slow, busy, or answers what nobody wants to hear: nothing is lost, and no run is called lost for it."""

from __future__ import annotations

import json
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from service.errors import ClusterAway, LauncherError, LaunchFailed
from service.launchers import EndReason, Life
from service.launchers.kubernetes import logs, watch
from service.store import jobs
from tests.peers.kubernetes.meddler import Meddler

pytestmark = [pytest.mark.kubernetes, pytest.mark.runner]


def _status(code: int, reason: str = "", message: str = "spoiled", **headers: str):
    said = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return code, {"Content-Type": "application/json", **headers}, json.dumps(said).encode()


@pytest.fixture
def meddled(make_stage, cluster, namespace, tmp_path: Path):
    """A stage whose launcher speaks to the cluster through a meddler."""
    with Meddler(cluster) as meddler:
        stage = make_stage()
        token = cluster.service_account_token(namespace, "gitops")
        stage.kubeconfig = meddler.kubeconfig(tmp_path / "meddled", token, namespace)
        stage.set()
        stage.launcher.close()
        stage.launcher = stage.another()
        stage.meddler = meddler
        yield stage
        stage.close()


def _ensure(stage, job, within_s=30.0):
    """As the reconciler does: again, while that may help."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            stage.launcher.ensure(job)
            return
        except LauncherError as error:
            assert error.retry, error
            assert time.monotonic() < deadline, error
            time.sleep(0.3)


def _told(launcher, job):
    """Whether it could do it or not."""
    with suppress(LauncherError):
        launcher.ensure(job)


@pytest.mark.slow
@pytest.mark.faults
def test_it_is_away_for_half_a_minute(stage, cluster):
    first = stage.start("print('begun', flush=True); time.sleep(5); emit('step.started', step='one'); time.sleep(40)")
    told = stage.follow(first, until="claimed")
    cluster.stop_apiserver()
    away = time.monotonic()
    second = stage.job("print('second')")
    with pytest.raises(ClusterAway) as failure:
        stage.launcher.ensure(second)
    assert failure.value.retry
    while time.monotonic() < away + 30:
        for seen in stage.launcher.observe({first: told.position, second.id: 0}, 1.0):
            assert seen.life is not Life.GONE
            if seen.job == first:
                told.add(seen)
    assert "step.started" in told.kinds
    cluster.start_apiserver()
    _ensure(stage, second)
    assert stage.follow(second.id).end == (EndReason.EXITED, 0)
    assert stage.follow(first, told=told).end == (EndReason.EXITED, 0)
    assert told.kinds == ["claimed", "step.started", "finished"]
    assert stage.launcher.logs(first).text.count("begun") == 1


def test_a_run_ends_while_it_is_away(stage, cluster):
    job = stage.start("print('begun', flush=True); time.sleep(3); print('done')")
    told = stage.follow(job, until="claimed")
    cluster.stop_apiserver()
    stage.follow(job, until="finished", told=told)
    assert told.last.life is Life.ALIVE
    cluster.start_apiserver()
    assert stage.follow(job, told=told).end == (EndReason.EXITED, 0)
    text = stage.launcher.logs(job).text
    assert (text.count("begun"), text.count("done")) == (1, 1)


def test_what_is_cancelled_while_it_is_away_ends_when_it_is_back(stage, cluster):
    job = stage.start("time.sleep(600)")
    told = stage.follow(job, until="claimed")
    cluster.stop_apiserver()
    stage.launcher.cancel(job)
    cluster.start_apiserver()
    assert stage.follow(job, told=told).end[0] is EndReason.CANCELLED
    stage.wait(lambda: not stage.jobs())


def test_it_stands_still(stage, cluster):
    """Connections that nobody answers: an ensure gives up in its time, and everything goes on afterwards."""
    job = stage.start("time.sleep(5)")
    told = stage.follow(job, until="claimed")
    cluster.programs["apiserver"].pause()
    began = time.monotonic()
    with pytest.raises(ClusterAway):
        stage.launcher.ensure(stage.job())
    assert time.monotonic() - began < 25
    cluster.programs["apiserver"].resume()
    assert stage.follow(job, told=told).end == (EndReason.EXITED, 0)


def test_its_watches_and_logs_are_cut_again_and_again(meddled):
    stopped = threading.Event()

    def cut():
        while not stopped.wait(0.3):
            meddled.meddler.cut()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        job = meddled.start(
            "for i in range(300): print('line', i, flush=True); time.sleep(0.01)\nemit('step.started', step='one')"
        )
        told = meddled.follow(job)
    finally:
        stopped.set()
        thread.join()
    printed = [line for line in meddled.launcher.logs(job).text.splitlines() if line.startswith("line")]
    assert printed == [f"line {i}" for i in range(300)]
    assert told.kinds == ["claimed", "step.started", "finished"]
    assert told.end == (EndReason.EXITED, 0)


def test_its_watches_say_nothing_any_more(meddled, monkeypatch):
    """The server forgot them; silence that is longer than a watch is the sign."""
    monkeypatch.setattr(watch, "_WATCH_S", 2)
    monkeypatch.setattr(watch, "_SILENCE_S", 3.0)
    job = meddled.start("time.sleep(1)")
    told = meddled.follow(job, until="claimed")
    meddled.meddler.deaf = True
    assert meddled.follow(job, told=told, within_s=20).end == (EndReason.EXITED, 0)


@pytest.mark.parametrize("how", ["as an answer", "as an event"])
def test_its_watches_expire(meddled, how):
    job = meddled.start("time.sleep(2)")
    told = meddled.follow(job, until="claimed")
    expired = _status(410, "Expired")
    event = json.dumps({"type": "ERROR", "object": json.loads(expired[2])}).encode() + b"\n"
    answer = expired if how == "as an answer" else (200, {"Content-Type": "application/json"}, event)
    meddled.meddler.spoil = lambda _, path: answer if "watch=" in path else None
    meddled.meddler.cut()
    assert meddled.follow(job, told=told, within_s=20).end == (EndReason.EXITED, 0)
    assert meddled.meddler.count["GET watch"] < 60, "it is asked again with patience"


@pytest.mark.parametrize("code", [429, 500, 503, 504])
def test_every_first_try_fails(meddled, code):
    tried: set[str] = set()

    def spoil(method, path):
        what = f"{method} {path.partition('?')[0]}{'watch' if 'watch=' in path else ''}"
        if what in tried:
            return None
        tried.add(what)
        return _status(code, "TooManyRequests", **{"Retry-After": "1"})

    meddled.meddler.spoil = spoil
    job = meddled.job("print('once')")
    _ensure(meddled, job)
    told = meddled.follow(job.id)
    assert told.kinds == ["claimed", "finished"]
    assert told.end == (EndReason.EXITED, 0)
    assert meddled.launcher.logs(job.id).text.count("once") == 1


@pytest.mark.parametrize("kind", ["secrets", "jobs"])
def test_a_name_is_taken_by_what_is_just_being_removed(meddled, kind):
    """409, and then there is nothing of that name."""
    meddled.meddler.spoil = lambda method, path: (
        _status(409, "AlreadyExists") if method == "POST" and path.endswith(f"/{kind}") else None
    )
    job = meddled.job()
    with pytest.raises(LaunchFailed, match="is being removed") as failure:
        meddled.launcher.ensure(job)
    assert failure.value.retry
    meddled.meddler.spoil = lambda _, __: None
    _ensure(meddled, job)
    assert meddled.follow(job.id).end == (EndReason.EXITED, 0)


@pytest.mark.parametrize("late", ["GET jobs", "GET pods", "DELETE jobs"])
def test_who_clears_up_too_late_kills_nothing_that_another_service_began_meanwhile(meddled, kubelet, late):
    """A service stands still in the middle of it, for longer than its lease."""
    kubelet.hold()
    job = meddled.job("print('ran'); time.sleep(3)")
    meddled.launcher.ensure(job)
    meddled.pod(job.id)
    meddled.callee.store.write(lambda conn: jobs.end(conn, job.id, EndReason.EVICTED, now=meddled.callee.store.now()))
    other, stands, goes_on = Meddler(meddled.cluster), threading.Event(), threading.Event()
    method, kind = late.split()

    def stand(asked: str, path: str) -> None:
        if asked == method and f"/{kind}" in path and "watch=" not in path and not stands.is_set():
            stands.set()
            assert goes_on.wait(60)

    with other:
        token = meddled.cluster.service_account_token(meddled.namespace, "gitops")
        meddled.kubeconfig = other.kubeconfig(meddled.kubeconfig.with_name("other"), token, meddled.namespace)
        meddled.set()
        second = meddled.another()
        second._start = lambda: None
        other.spoil = stand
        clearing = threading.Thread(target=_told, args=(second, job))
        clearing.start()
        assert stands.wait(30)
        meddled.launcher.ensure(job)
        kubelet.release()
        told = meddled.follow(job.id, until="claimed")
        goes_on.set()
        clearing.join(30)
        meddled.follow(job.id, told=told)
    assert told.kinds == ["claimed", "finished"]
    assert told.end == (EndReason.EXITED, 0)


def test_it_does_not_give_a_log(meddled, monkeypatch):
    """Its node is gone, say: the job ends all the same, and its log says that it is torn."""
    monkeypatch.setattr(logs, "_PATIENCE_S", 2.0)
    meddled.meddler.spoil = lambda _, path: _status(500, message="dial tcp: i/o timeout") if "/log?" in path else None
    job = meddled.start("print('nobody hears')")
    assert meddled.follow(job, within_s=30).end == (EndReason.EXITED, 0)
    chunk = meddled.launcher.logs(job)
    assert "the rest of the log could not be read" in chunk.text
    assert "i/o timeout" in chunk.text
    assert chunk.complete


@pytest.mark.parametrize("followers", [0, 100])
def test_nodes_that_do_not_answer_when_they_are_asked_for_logs_keep_no_other_run_from_ending(
    meddled, monkeypatch, followers
):
    """More of them than there are fetchers. Each of their own runs ends too, soon after."""
    monkeypatch.setattr(logs, "_FETCH_S", 3.0)
    monkeypatch.setattr(logs, "_PATIENCE_S", 2.0)
    meddled.launcher._logs._followers = followers
    silent, over = [meddled.job("print('nobody hears')") for _ in range(6)], threading.Event()

    def stand(_method: str, path: str) -> None:
        if "/log?" in path and any(job.id in path for job in silent):
            over.wait(90)

    meddled.meddler.spoil = stand
    try:
        for job in silent:
            _ensure(meddled, job)
        meddled.wait(lambda: all(meddled.pods(job.id)[0]["status"]["phase"] == "Succeeded" for job in silent))
        meddled.launcher.observe(dict.fromkeys([job.id for job in silent], 0), 1.0)
        other = meddled.job("print('heard')")
        _ensure(meddled, other)
        assert meddled.follow(other.id, within_s=30).end == (EndReason.EXITED, 0)
        assert "heard" in meddled.launcher.logs(other.id).text
        for job in silent:
            assert meddled.follow(job.id, within_s=45).end == (EndReason.EXITED, 0)
            assert "the rest of the log could not be read" in meddled.launcher.logs(job.id).text
    finally:
        over.set()


def test_when_it_says_how_long_to_wait_that_is_waited(meddled):
    meddled.meddler.spoil = lambda method, path: _status(429, **{"Retry-After": "7"}) if method == "POST" else None
    with pytest.raises(ClusterAway) as failure:
        meddled.launcher.ensure(meddled.job())
    assert (failure.value.answer, failure.value.retry_after_s) == (429, 7.0)


def test_it_knows_the_token_no_more_and_then_again(meddled):
    job = meddled.start("time.sleep(4)")
    told = meddled.follow(job, until="claimed")
    meddled.meddler.spoil = lambda _, __: _status(401, "Unauthorized", "the token is not valid any more")
    meddled.meddler.cut()
    with pytest.raises(ClusterAway, match="does not know us") as failure:
        meddled.launcher.ensure(meddled.job())
    assert "goes on by itself" in failure.value.mend
    meddled.follow(job, until="finished", told=told)
    assert told.last.life is not Life.GONE
    meddled.meddler.spoil = lambda _, __: None
    assert meddled.follow(job, told=told).end == (EndReason.EXITED, 0)


def test_a_right_is_taken_away(stage, cluster):
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{stage.namespace}/rolebindings/gitops"
    binding = cluster.api.get(path)
    job = stage.start("time.sleep(1)")
    told = stage.follow(job, until="claimed")
    cluster.api.delete(path)
    stage.wait(lambda: "forbidden" in _refusal(stage))
    cluster.api.post(path.rpartition("/")[0], {**binding, "metadata": {"name": "gitops"}})
    assert stage.follow(job, told=told).end == (EndReason.EXITED, 0)


def _refusal(stage) -> str:
    try:
        stage.launcher.ensure(stage.job())
    except LaunchFailed as error:
        assert error.retry
        assert "rights" in error.mend
        return str(error)
    return ""


@pytest.mark.parametrize("done", range(4))
def test_a_start_that_is_cut_off_after_any_step_is_finished_by_the_next(meddled, done):
    """Program, Secret, Job: the server takes the first `done` of these, or all of them and not the Secret's owner, and then nothing."""
    changes = 0

    def spoil(method, _path):
        nonlocal changes
        changes += method != "GET"
        return _status(500) if changes > done else None

    job = meddled.job("print('once')")
    meddled.meddler.spoil = spoil
    with pytest.raises(ClusterAway) if done < 3 else nullcontext():
        meddled.launcher.ensure(job)
    meddled.meddler.spoil = lambda _, __: None
    meddled.launcher.ensure(job)
    told = meddled.follow(job.id)
    assert told.kinds == ["claimed", "finished"]
    (made,) = meddled.jobs()
    meddled.wait(lambda: meddled.owner_of_secret(job.id) == made["metadata"]["uid"])


def _refuses_secrets(method, path):
    return (
        _status(403, "Forbidden", "exceeded quota: secrets") if method == "POST" and path.endswith("/secrets") else None
    )


def test_a_secret_that_came_late_was_not_deleted(meddled, kubelet):
    """The node has said that it is not there, which is an old tale when it is asked why the pod has not begun."""
    go = threading.Event()

    def spoil(method, path):
        if method == "POST" and path.endswith("/secrets"):
            assert go.wait(60)

    meddled.meddler.spoil = spoil
    job = meddled.job("print('once')")
    start = threading.Thread(target=meddled.launcher.ensure, args=(job,))
    start.start()
    meddled.wait(lambda: [one for one in meddled.listed("events") if one.get("reason") == "FailedMount"])
    kubelet.hold()  # from here on as with an image that is pulled for long
    go.set()
    start.join(30)
    told = meddled.wait(lambda: [row for row in [meddled.row(job.id)] if row.detail not in ("", "its Job was made")])
    for _ in range(8):
        (seen,) = meddled.launcher.observe({job.id: 0}, 0.5)
        assert seen.life is not Life.GONE, (seen, told)
    kubelet.release()
    assert meddled.follow(job.id).kinds == ["claimed", "finished"]


def test_a_start_that_is_given_up_takes_what_was_made_of_it_along(meddled):
    meddled.meddler.spoil = _refuses_secrets
    job = meddled.job("print('once')")
    with pytest.raises(LaunchFailed):
        meddled.launcher.ensure(job)
    assert meddled.jobs()
    meddled.launcher.cancel(job.id)
    assert not [one for one in meddled.jobs() if not one["metadata"].get("deletionTimestamp")]


def test_what_a_pod_could_not_be_told_is_known_before_there_is_one(meddled):
    meddled.launcher._url = ""
    with pytest.raises(LaunchFailed, match="where the service is"):
        meddled.launcher.ensure(meddled.job("print('once')"))
    assert not meddled.jobs()
