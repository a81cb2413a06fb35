"""What teams install, whole: the chart, our own image as its pod, a push, and loads and runs in images as MLRun's, all of them containers.

The control plane is Kubernetes itself; the node is a stand-in that runs containers by podman, on the machine's network, where the release's Service
is reached by its name, and NetworkPolicies have no effect.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.cluster.release import USER
from tests.e2e.cluster.scene import ClusterScene, scene
from tests.e2e.stage import LONG_S, Team
from tests.integration.chart.cluster import eventually, present
from tests.integration.chart.helm import Document
from tests.peers import containers
from tests.peers.containers.lookalikes import PLAIN, VARIANTS, ensure_mlrun_kfp, name
from tests.peers.containers.ours import ensure_ours
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.service_process import wait_for

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.helm,
    pytest.mark.container,
    pytest.mark.slow,
    pytest.mark.timeout(900),  # where the images are not there yet
]

READ_ONLY: Document = {"config": {"launcher": {"kubernetes": {"read_only_root": True}}}}
TOKEN_OF_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
DOUBLE = """\
import os


def run(context, factor: int):
    print("doubling", factor, "as", os.getuid())
    context.log_result("product", 21 * factor)
"""
# Two steps, each of which waits where the test has it wait.
STEPS = """\
import urllib.request


def run(context, gate: str, step: str):
    print(step, "waits")
    urllib.request.urlopen(f"{gate}/{step}", timeout=600).read()
    print(step, "goes on")
    context.log_result("passed", step)
"""
TWO_STEPS = """\
import mlrun
from kfp import dsl


@dsl.pipeline(name="two-steps")
def pipeline():
    project = mlrun.get_current_project()
    gate = project.get_param("gate")
    one = project.run_function("steps", name="one", params={"gate": gate, "step": "one"}, outputs=["passed"])
    project.run_function("steps", name="two", params={"gate": gate, "step": "two"}, outputs=["passed"]).after(one)
"""


@pytest.fixture(scope="module")
def image() -> str:
    ensure_mlrun_kfp(containers.engine())
    return ensure_ours(containers.engine())


@pytest.fixture(scope="module")
def release(shared_cluster: Cluster, shared_kubelet: Kubelet, image: str) -> Iterator[ClusterScene]:
    with scene(shared_cluster, shared_kubelet, image) as made:
        yield made


def in_image(image: str) -> dict[str, str]:
    """A `.gitops.yaml` that asks for it; the plain one is what the table of images gives."""
    if image == name():
        return {}
    declared = {"version": 1, "projects": [{"path": ".", "runner": {"image": image}}]}
    return {".gitops.yaml": yaml.safe_dump(declared)}


def succeeded(team: Team, commit: str) -> Any:
    """The one run of the commit."""
    sync = team.synced(commit)
    assert sync["state"] == "succeeded", f"{sync['error']}\n{team.stage.service.tail()}"
    [run] = team.runs(commit=commit)
    assert run["state"] == "succeeded", f"{run}\n{team.stage.service.tail()}"
    return run


def log_of(team: Team, run: Any) -> str:
    """All that it printed."""
    chunk: dict[str, Any] = {}

    def complete() -> bool:
        chunk.update(team.stage.service.get(f"/runs/{run['id']}/log"))
        return bool(chunk["complete"])

    wait_for(complete, LONG_S, lambda: f"the end of a log: {chunk}")
    return str(chunk["text"])


def events_of(team: Team, run: Any) -> list[tuple[str, str]]:
    """What happened in it and in which step, in order."""
    items = team.stage.service.get(f"/runs/{run['id']}/events")["items"]
    positions = [item["position"] for item in items]
    assert positions == sorted(set(positions))
    return [(item["event"], item["data"].get("step", "")) for item in items]


@pytest.mark.parametrize("variant", [PLAIN, *VARIANTS], ids=lambda variant: variant or "plain")
def test_a_push_is_loaded_and_run_in_each_image_and_told(release: ClusterScene, variant: str) -> None:
    image = ensure_mlrun_kfp(containers.engine(), variant)
    team = release.team()
    commit = team.push({**team.files(factor=2), "double.py": DOUBLE, **in_image(image)})
    run = succeeded(team, commit)
    assert (run["launcher"], run["image"], run["commit"]) == ("kubernetes", image, commit)
    assert run["results"]["double-run"]["product"] == 42
    assert f"doubling 2 as {USER}\n" in log_of(team, run)
    events = events_of(team, run)
    assert [event for event, _ in events if event in ("claimed", "started", "finished")] == [
        "claimed",
        "started",
        "finished",
    ]
    wait_for(lambda: team.told("run.succeeded"), LONG_S, "the message")
    assert set(release.recorder.times.values()) == {1}
    pods = release.service.pods_of(team.name)
    assert Counter(pod["metadata"]["labels"]["mlrun-gitops.io/kind"] for pod in pods) == {"load": 1, "run": 1}
    for pod in pods:
        [container], security = pod["spec"]["containers"], pod["spec"]["securityContext"]
        assert container["image"] == image
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, USER)
        assert TOKEN_OF_ACCOUNT not in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_what_is_secret_is_seen_nowhere(release: ClusterScene) -> None:
    team = release.team()
    words: set[str] = set()

    def told() -> bool:
        words.update(release.service.secret_words())  # a job's Secret goes with its end
        return bool(team.told("run.succeeded"))

    commit = team.push(team.files())
    wait_for(told, LONG_S, "the message")
    succeeded(team, commit)
    seen = release.service.everything() + json.dumps(release.recorder.received)
    assert len(words) >= 2 * (4 + 1), "the operator's four, and at least one job's"
    assert team.name in seen
    assert [word for word in words if word in seen] == []


def two_steps(scene: ClusterScene, team: Team) -> dict[str, str | bytes | None]:
    function = {"name": "steps", "kind": "job", "image": "mlrun/mlrun", "url": "steps.py", "handler": "run"}
    workflow = {"name": "main", "path": "workflow.py", "engine": "kfp"}
    project = team.project_yaml(params={"gate": scene.gate.url}, functions=[function], workflows=[workflow])
    return {"project.yaml": project, "steps.py": STEPS, "workflow.py": TWO_STEPS}


def begun(scene: ClusterScene, team: Team) -> str:
    """A push whose run is in the middle of its first step; the commit."""
    commit = team.push(two_steps(scene, team))
    wait_for(lambda: scene.gate.came.get("one"), LONG_S, lambda: f"the first step:\n{scene.service.tail()}")
    return commit


def goes_on_alone(scene: ClusterScene) -> None:
    """The service is not there; the run goes from its first step to its second one."""
    assert not scene.service.ready()
    scene.gate.open("one")
    wait_for(lambda: scene.gate.came.get("two"), LONG_S, "the second step")


def ends_once(scene: ClusterScene, team: Team, commit: str) -> None:
    """The new pod has the run, and nothing of it was lost or came twice."""
    [open_run] = scene.service.all("/runs", repository=team.name)
    assert open_run["state"] == "running"
    scene.gate.open("two")
    run = succeeded(team, commit)
    assert run["id"] == open_run["id"]
    assert scene.gate.came == {"one": 1, "two": 1}
    assert [
        event
        for event in events_of(team, run)
        if event[0] in ("claimed", "started", "step.started", "step.finished", "finished")
    ] == [
        ("claimed", ""),
        ("started", ""),
        ("step.started", "one"),
        ("step.finished", "one"),
        ("step.started", "two"),
        ("step.finished", "two"),
        ("finished", ""),
    ]
    lines = log_of(team, run).splitlines()
    assert [line for line in lines if line.endswith((" waits", " goes on"))] == [
        "one waits",
        "one goes on",
        "two waits",
        "two goes on",
    ]
    wait_for(lambda: team.told("run.succeeded"), LONG_S, "the message")
    assert len(team.told("run.succeeded")) == 1
    pods = [pod["metadata"]["labels"]["mlrun-gitops.io/kind"] for pod in scene.service.pods_of(team.name)]
    assert Counter(pods) == {"load": 1, "run": 1}


def test_a_crash_of_our_pod_in_the_middle_of_a_run_loses_and_doubles_nothing(
    release: ClusterScene, kubelet: Kubelet
) -> None:
    team = release.team()
    commit = begun(release, team)
    [pod] = release.service.pods()
    kubelet.hold()
    kubelet.kill(release.service.namespace, pod["metadata"]["name"])
    wait_for(lambda: not kubelet.pids(release.service.namespace, pod["metadata"]["name"]), LONG_S, "its end")
    goes_on_alone(release)
    kubelet.release()
    release.service.wait_ready()
    [again] = release.service.pods()
    assert again["metadata"]["uid"] == pod["metadata"]["uid"]
    assert again["status"]["containerStatuses"][0]["restartCount"] == 1
    ends_once(release, team, commit)


def test_upgrade_in_the_middle_of_a_run_then_rollback_then_uninstall(
    cluster: Cluster, kubelet: Kubelet, image: str
) -> None:
    with scene(cluster, kubelet, image) as installed:
        service, team = installed.service, installed.team()
        commit = begun(installed, team)
        [old] = service.pods()
        kubelet.hold()
        service.upgrade(installed.values, READ_ONLY)
        uid = old["metadata"]["uid"]
        wait_for(lambda: uid not in [pod["metadata"]["uid"] for pod in service.pods()], LONG_S, service.describe)
        goes_on_alone(installed)
        kubelet.release()
        service.wait_ready()
        ends_once(installed, team, commit)

        other = installed.team()
        succeeded(other, other.push(other.files()))
        assert read_only(installed, other) == {"load": True, "run": True}

        service.operator.rollback(1)
        service.wait_ready()
        assert [run["state"] for run in team.runs()] == ["succeeded"]
        again(other)
        assert read_only(installed, other) == {"load": True, "run": False}

        service.operator.uninstall()
        eventually(lambda: set(present(cluster.api, service.namespace, service.runners)), installed.before)


def again(team: Team) -> None:
    """Somebody asks for another run of what is in force."""
    asked = team.stage.service.http.post(f"/api/v1/projects/{team.name}/runs", json={"workflow": "main"})
    assert asked.status_code == 202, asked.text
    assert [run["state"] for run in team.runs()] == ["succeeded", "succeeded"]


def read_only(scene: ClusterScene, team: Team) -> dict[str, bool]:
    """Whether the root of its newest pod of each kind is."""
    pods = sorted(scene.service.pods_of(team.name), key=lambda pod: int(pod["metadata"]["resourceVersion"]))
    return {
        pod["metadata"]["labels"]["mlrun-gitops.io/kind"]: bool(
            pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
        )
        for pod in pods
    }
