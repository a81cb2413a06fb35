"""Whatever befalls a pod, its Job or its Secret becomes that reason within seconds."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from service.domain.projects import RunnerRule
from service.errors import LaunchFailed
from service.launchers import EndReason, Life
from tests.peers.kubernetes import Image, Kubelet

pytestmark = [pytest.mark.kubernetes, pytest.mark.runner]

ENDLESS = "print('begun', flush=True); time.sleep(600)"


def _begun(stage, script=ENDLESS, **changed):
    job = stage.start(script, **changed)
    told = stage.follow(job, until="claimed")
    stage.wait(lambda: "begun" in stage.launcher.logs(job).text)
    return job, told


# Before it began.


def test_no_node_takes_it(stage):
    job = stage.start(runner=RunnerRule(node_selector={"pool": "gpu"}))
    assert "0/1 nodes are available" in stage.waits_for(job, "no node takes its pod")


def test_its_image_cannot_be_pulled(stage, kubelet):
    job = stage.start(image="registry.example.com/nothing:1")
    assert "registry.example.com/nothing:1" in stage.waits_for(job, "cannot be pulled")


def test_it_does_not_begin_in_time(make_stage):
    stage = make_stage(start_timeout=3.0)
    job = stage.start(runner=RunnerRule(node_selector={"pool": "gpu"}))
    told = stage.follow(job)
    assert told.end[0] is EndReason.NOT_STARTED
    assert "no node takes its pod" in told.last.detail
    stage.wait(lambda: not stage.jobs())


@pytest.mark.parametrize("ours", [-3600.0, 3600.0])
def test_its_clock_and_ours_are_an_hour_apart(stage, kubelet, monkeypatch, ours):
    """Nothing is stopped for that, and what does not begin in time is."""
    now = stage.callee.store.now
    monkeypatch.setattr(stage.callee.store, "now", lambda: now() + ours)
    assert stage.follow(stage.start("print('begun')")).end == (EndReason.EXITED, 0)
    kubelet.hold()
    stage.launcher._tending._start_timeout_s = 3.0
    told = stage.follow(stage.start("print('never')"))
    assert told.end[0] is EndReason.NOT_STARTED


def test_the_image_has_no_python(stage, kubelet):
    kubelet.know({"registry.test/bare:1": Image(env={"PATH": "/nowhere"})})
    job = stage.start(image="registry.test/bare:1")
    told = stage.follow(job)
    assert told.end[0] is EndReason.INCOMPATIBLE
    assert "python" in told.last.detail


def test_the_image_has_no_mlrun(stage, kubelet):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "python").symlink_to("/usr/bin/python3")
        kubelet.know({"registry.test/plain:1": Image(env={"PATH": f"{folder}:/usr/bin:/bin"})})
        job = stage.start(image="registry.test/plain:1")
        told = stage.follow(job)
    assert told.end[0] is EndReason.INCOMPATIBLE
    assert "registry.test/plain:1" in told.last.detail
    assert "mlrun" in told.last.detail
    assert "this image cannot run the job" in stage.launcher.logs(job).text


def test_the_namespaces_quota_is_full(stage):
    stage.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": stage.namespace},
            "spec": {"hard": {"pods": "0"}},
        }
    )
    stage.wait(lambda: stage.listed("resourcequotas")[0].get("status", {}).get("hard"))
    job = stage.start()
    assert "it has no pod" in stage.waits_for(job, "exceeded quota")


def test_the_operators_environment_names_a_secret_that_is_not_there(make_stage):
    stage = make_stage(env={"X": {"secretKeyRef": {"name": "nothing", "key": "x"}}})
    job = stage.start()
    assert "nothing" in stage.waits_for(job, "its container cannot be made")


@pytest.mark.parametrize("what", ["secret", "configmap"])
def test_what_its_pod_is_made_from_is_deleted(stage, kubelet, what):
    kubelet.hold()
    job = stage.start()
    stage.pod(job)
    names = {"secret": f"secrets/gitops-{job}"}
    names["configmap"] = f"configmaps/{_program(stage)}"
    stage.delete(names[what])
    kubelet.release()
    told = stage.follow(job)
    assert told.end[0] is EndReason.DELETED, told.last
    assert f"{what} gitops-" in told.last.detail.lower()
    assert "was deleted" in told.last.detail
    # Nobody claimed it: told once more, it runs.
    stage.launcher.ensure(stage.job(id=job))
    assert stage.follow(job).end == (EndReason.EXITED, 0)


def _program(stage):
    (name,) = [one["metadata"]["name"] for one in stage.listed("configmaps") if "runner" in one["metadata"]["name"]]
    return name


def test_its_job_is_deleted_before_it_began_and_it_starts_again(stage, kubelet):
    kubelet.hold()
    job = stage.start("print('ran')")
    stage.pod(job)
    stage.delete(f"jobs/gitops-{job}", "/apis/batch/v1", propagationPolicy="Background")
    told = stage.follow(job)
    assert told.end[0] is EndReason.DELETED
    assert told.last.detail == f"Job gitops-{job} was deleted"
    kubelet.release()
    stage.launcher.ensure(stage.job("print('ran')", id=job))
    told = stage.follow(job)
    assert told.kinds == ["claimed", "finished"]


def test_somebody_elses_objects_are_left_alone(stage):
    job = stage.job()
    stage.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"gitops-{job.id}", "namespace": stage.namespace},
            "stringData": {"x": "y"},
        }
    )
    with pytest.raises(LaunchFailed, match=f"Secret gitops-{job.id} is there and is not ours"):
        stage.launcher.ensure(job)
    (secret,) = [one for one in stage.listed("secrets") if one["metadata"]["name"] == f"gitops-{job.id}"]
    assert list(secret["data"]) == ["x"]
    stage.launcher.cancel(job.id)
    stage.launcher.clean(job.id)
    time.sleep(1)
    assert [one for one in stage.listed("secrets") if one["metadata"]["name"] == f"gitops-{job.id}"]


def test_its_namespace_is_being_removed(stage, cluster):
    job, told = _begun(stage)
    cluster.api.delete(f"/api/v1/namespaces/{stage.namespace}")
    stage.follow(job, told=told)
    assert told.end[0] is EndReason.DELETED
    with pytest.raises(LaunchFailed) as failure:
        stage.launcher.ensure(stage.job())
    assert stage.namespace in str(failure.value)


# After it began.


def test_it_runs_out_of_memory(stage, kubelet):
    job, told = _begun(stage)
    kubelet.run_out_of_memory(stage.namespace, stage.pod(job))
    stage.follow(job, told=told, within_s=15)
    assert told.end == (EndReason.OUT_OF_MEMORY, 137)
    assert "begun" in stage.launcher.logs(job).text


def test_it_is_evicted(stage, kubelet):
    job, told = _begun(stage)
    kubelet.evict(stage.namespace, stage.pod(job))
    stage.follow(job, told=told, within_s=15)
    assert told.end[0] is EndReason.EVICTED
    assert "low on resource" in told.last.detail


def test_its_first_process_is_killed(stage, kubelet):
    job, told = _begun(stage)
    kubelet.kill(stage.namespace, stage.pod(job))
    stage.follow(job, told=told, within_s=15)
    assert told.end == (EndReason.KILLED, 137)


def test_its_pod_is_deleted(stage):
    job, told = _begun(stage)
    pod = stage.pod(job)
    stage.delete(f"pods/{pod}")
    stage.follow(job, told=told, within_s=50)
    assert told.end[0] is EndReason.DELETED, told.last
    assert told.last.detail == f"pod {pod} was deleted"


def test_its_job_is_deleted(stage):
    job, told = _begun(stage)
    stage.delete(f"jobs/gitops-{job}", "/apis/batch/v1", propagationPolicy="Background")
    stage.follow(job, told=told, within_s=50)
    assert told.end[0] is EndReason.DELETED, told.last


def test_its_secret_is_deleted_which_it_has_read(stage):
    job, told = _begun(stage, "print('begun', flush=True); time.sleep(2)")
    stage.delete(f"secrets/gitops-{job}")
    assert stage.follow(job, told=told).end == (EndReason.EXITED, 0)


def test_its_node_falls_silent(stage, kubelet, cluster):
    """Of two: where every node is silent, Kubernetes gives no pod up."""
    with Kubelet(cluster, "node-1"):
        job, told = _begun(stage, runner=RunnerRule(node_selector={"kubernetes.io/hostname": "node-0"}))
        kubelet.stop()
        stage.follow(job, told=told, within_s=60)
        kubelet.start()
    assert told.end[0] is EndReason.NODE_LOST
    assert "node node-0 does not answer" in told.last.detail


def test_the_service_was_away_when_its_pod_was_deleted(stage):
    job, told = _begun(stage)
    stage.launcher.close()
    stage.delete(f"jobs/gitops-{job}", "/apis/batch/v1", propagationPolicy="Foreground")
    stage.wait(lambda: not stage.jobs())
    stage.launcher = stage.another()
    stage.follow(job, told=told)
    assert told.end[0] is EndReason.DELETED


def test_a_job_is_gone_only_when_its_log_is_whole(stage):
    lines = 20_000
    job = stage.start(f"for i in range({lines}): print('line', i)")
    told = stage.follow(job)
    assert told.last.life is Life.GONE
    text, offset = "", 0
    while True:
        chunk = stage.launcher.logs(job, offset)
        text, offset = text + chunk.text, chunk.next_offset
        if chunk.complete:
            break
    printed = [line for line in text.splitlines() if line.startswith("line ")]
    assert printed == [f"line {i}" for i in range(lines)]
