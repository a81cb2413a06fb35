"""The Kubernetes peer runs Jobs for real: their programs, exit codes, logs, files and users."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.integration.peers.jobs import SHELL, ended, job, log_of, path_of_job, pod_of, terminated
from tests.peers.kubernetes import ApiError, Cluster, Image, Kubelet

pytestmark = pytest.mark.kubernetes

_WHO_AM_I = """
id
touch /scratch/mine
stat -c '%u %g %a' /scratch/mine /scratch
stat -L -c '%u %g %a' /key/token
cat /key/token; echo
touch /key/other || touch /elsewhere || echo kept out
grep -E '^(NoNewPrivs|CapBnd)' /proc/self/status
"""
_NOBODY = {"runAsUser": 12345, "runAsGroup": 54321, "fsGroup": 777}


def test_a_job_runs_and_its_log_is_kept(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "echo hello; echo trouble >&2"))

    assert ended(cluster, namespace)["type"] == "Complete"
    assert log_of(cluster, pod_of(cluster, namespace, phase="Succeeded")) == "hello\ntrouble\n"


# Kubernetes makes $ of $$.
@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("kill -9 $$$$; exit 4", 4), ("sh -c 'kill -9 $$$$'; exit $?", 137)]
)
def test_exit_codes_are_told(cluster: Cluster, kubelet: Kubelet, namespace: str, script: str, code: int) -> None:
    cluster.apply(job(namespace, script))

    assert ended(cluster, namespace)["reason"] == "BackoffLimitExceeded"
    how = terminated(pod_of(cluster, namespace, phase="Failed"))
    assert (how["exitCode"], how["reason"]) == (code, "Error")


def test_a_log_is_followed_while_it_is_written_and_read_from_a_moment_on(
    cluster: Cluster, kubelet: Kubelet, namespace: str, tmp_path: Path
) -> None:
    gate = {"volumes": [{"name": "gate", "hostPath": {"path": str(tmp_path)}}]}
    script = "echo first; until [ -e /gate/open ]; do sleep 0.05; done; echo second"
    cluster.apply(job(namespace, script, spec=gate, volumeMounts=[{"name": "gate", "mountPath": "/gate"}]))
    pod = pod_of(cluster, namespace, phase="Running")
    seen: list[str] = []
    following = threading.Thread(target=lambda: seen.append(log_of(cluster, pod, follow="true")))
    following.start()
    cluster.api.wait_for(path_of_job(namespace), lambda _: log_of(cluster, pod) == "first\n")
    assert following.is_alive()

    (tmp_path / "open").touch()
    following.join(20)

    assert seen == ["first\nsecond\n"]
    assert ended(cluster, namespace)["type"] == "Complete"
    assert log_of(cluster, pod, tailLines="1") == "second\n"
    assert log_of(cluster, pod, limitBytes="3") == "fir"
    first, second = (line.partition(" ")[0] for line in log_of(cluster, pod, timestamps="true").splitlines())
    assert first < second
    # The API takes whole seconds only.
    assert log_of(cluster, pod, sinceTime=first).startswith("first\n")
    assert log_of(cluster, pod, sinceTime="2100-01-01T00:00:00Z") == ""


def test_a_log_that_is_not_there_yet_is_refused(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    kubelet.hold()
    cluster.apply(job(namespace, "true"))
    pod = pod_of(cluster, namespace, waiting="ContainerCreating")

    with pytest.raises(ApiError, match="waiting to start: ContainerCreating") as refused:
        log_of(cluster, pod)
    assert refused.value.status == 400

    kubelet.release()
    assert ended(cluster, namespace)["type"] == "Complete"


def test_a_container_is_process_1_of_its_own_on_a_root_of_its_own(
    cluster: Cluster, kubelet: Kubelet, namespace: str
) -> None:
    cluster.apply(
        job(namespace, 'echo "$$$$ $(hostname) $HOSTNAME"; touch /written; sleep 600 & ls /proc | grep -c "^[0-9]"')
    )

    ended(cluster, namespace)

    pod = pod_of(cluster, namespace, phase="Succeeded")
    name = pod["metadata"]["name"]
    first, processes = log_of(cluster, pod).splitlines()
    assert first == f"1 {name} {name}"
    assert int(processes) <= 4
    assert subprocess.run(["test", "-e", "/written"], check=False).returncode == 1


def test_users_groups_and_modes_are_as_the_pod_says(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    secret = {"metadata": {"name": "key", "namespace": namespace}, "stringData": {"token": "s3cret"}}
    cluster.api.post(f"/api/v1/namespaces/{namespace}/secrets", secret)
    volumes = [
        {"name": "work", "emptyDir": {}},
        {"name": "key", "secret": {"secretName": "key", "defaultMode": 0o440}},
        {"name": "script", "configMap": {"name": "script"}},
    ]
    mounts = [{"name": "work", "mountPath": "/scratch"}, {"name": "key", "mountPath": "/key", "readOnly": True}]
    mounts.append({"name": "script", "mountPath": "/script"})
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "script", "namespace": namespace},
            "data": {"run": _WHO_AM_I},
        }
    )
    security = {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
    }
    cluster.apply(
        job(
            namespace,
            "sh -e /script/run",
            spec={"volumes": volumes, "securityContext": _NOBODY},
            volumeMounts=mounts,
            securityContext=security,
        )
    )

    ended(cluster, namespace)

    lines = log_of(cluster, pod_of(cluster, namespace, phase="Succeeded")).splitlines()
    assert lines[0] == "uid=12345 gid=54321 groups=54321,777"
    assert lines[1:3] == ["12345 777 644", "0 777 2777"]
    assert lines[3:5] == ["0 777 440", "s3cret"]
    assert lines[-3] == "kept out"
    assert [line.split() for line in lines[-2:]] == [["CapBnd:", "0" * 16], ["NoNewPrivs:", "1"]]


def test_root_is_refused_where_the_pod_says_nobody_is_root(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "id", securityContext={"runAsNonRoot": True}))

    pod = pod_of(cluster, namespace, waiting="CreateContainerConfigError")
    assert "image will run as root" in json.dumps(pod["status"])


def test_secrets_reach_the_environment_and_a_missing_one_is_named(
    cluster: Cluster, kubelet: Kubelet, namespace: str
) -> None:
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "late", "key": "token"}}}]
    cluster.apply(job(namespace, "echo $TOKEN", env=env))

    pod = pod_of(cluster, namespace, waiting="CreateContainerConfigError")
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == 'secret "late" not found'

    secret = {"metadata": {"name": "late"}, "stringData": {"token": "at last"}}
    cluster.api.post(f"/api/v1/namespaces/{namespace}/secrets", secret)
    assert ended(cluster, namespace)["type"] == "Complete"
    assert log_of(cluster, pod_of(cluster, namespace, phase="Succeeded")) == "at last\n"


def test_a_missing_secret_of_a_volume_is_told_by_events(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    volumes = {"volumes": [{"name": "key", "secret": {"secretName": "nowhere"}}]}
    cluster.apply(job(namespace, "true", spec=volumes))

    found = cluster.api.wait_for(
        f"/api/v1/namespaces/{namespace}/events", lambda it: any(one["reason"] == "FailedMount" for one in it["items"])
    )
    assert 'secret "nowhere" not found' in str(found)
    pod_of(cluster, namespace, waiting="ContainerCreating")


def test_a_pod_has_the_token_of_its_service_account(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    source = {"serviceAccountToken": {"path": "token", "audience": "mlrun", "expirationSeconds": 600}}
    volumes = {"volumes": [{"name": "ours", "projected": {"sources": [source]}}]}
    here = [{"name": "ours", "mountPath": "/ours"}]
    cluster.apply(
        job(
            namespace,
            "cat /ours/token; echo; cat /var/run/secrets/kubernetes.io/serviceaccount/namespace",
            spec=volumes,
            volumeMounts=here,
        )
    )

    ended(cluster, namespace)

    token, where = log_of(cluster, pod_of(cluster, namespace, phase="Succeeded")).splitlines()
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert claims["aud"] == ["mlrun"]
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"
    assert where == namespace


def test_a_command_that_is_not_there_is_told(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "", command=["no-such-program"]))

    assert ended(cluster, namespace)["type"] == "Failed"
    how = terminated(pod_of(cluster, namespace, phase="Failed"))
    assert (how["exitCode"], how["reason"]) == (128, "StartError")
    assert '"no-such-program": executable file not found in $PATH' in how["message"]


def test_last_words_become_the_message(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "echo goodbye > /dev/termination-log; exit 1"))

    ended(cluster, namespace)
    assert terminated(pod_of(cluster, namespace, phase="Failed"))["message"] == "goodbye\n"


def test_an_image_has_its_environment_and_its_entrypoint(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    image = Image(env={"GREETING": "hello"}, workdir="/srv", entrypoint=("sh", "-c"), command=("echo $GREETING; pwd",))
    kubelet.know({"registry.test/greeter:*": image})
    cluster.apply(job(namespace, "", command=[], image="registry.test/greeter:7"))

    ended(cluster, namespace)
    assert log_of(cluster, pod_of(cluster, namespace, phase="Succeeded")) == "hello\n/srv\n"


def test_a_deployments_pod_is_ready_by_its_probe_and_restarts(
    cluster: Cluster, kubelet: Kubelet, namespace: str
) -> None:
    from tests.peers.kubernetes.programs import lasting_port

    port = lasting_port()
    script = f"cd /tmp && exec python3 -m http.server {port} --bind 127.0.0.1"
    container = {
        "name": "c",
        "image": SHELL,
        "command": ["sh", "-c", script],
        "ports": [{"name": "web", "containerPort": port}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1},
    }
    meta = {"name": "web", "namespace": namespace}
    labels = {"app": "web"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pods},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "web", "protocol": "TCP"}]},
        },
    )
    deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    cluster.api.wait_for(deployment, lambda it: it["status"].get("readyReplicas") == 1)
    cluster.api.wait_for(
        f"/api/v1/namespaces/{namespace}/endpoints/web",
        lambda it: any(subset.get("addresses") for subset in it.get("subsets") or []),
    )

    (pod,) = cluster.api.items(f"/api/v1/namespaces/{namespace}/pods")
    kubelet.kill(namespace, pod["metadata"]["name"])

    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
    again = cluster.api.wait_for(
        path, lambda it: (one := it["status"]["containerStatuses"][0])["restartCount"] == 1 and one["ready"]
    )
    assert again["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137


def test_a_service_is_reached_by_its_name(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}
    cluster.api.post(f"/api/v1/namespaces/{namespace}/services", service)
    names = [name.format(namespace) for name in ("web", "web.{}", "web.{}.svc", "web.{}.svc.cluster.local")]
    script = f"for name in {' '.join(names)} $(hostname); do until getent hosts $name; do sleep 0.1; done; done"

    cluster.apply(job(namespace, script))

    assert ended(cluster, namespace)["type"] == "Complete"
    found = log_of(cluster, pod_of(cluster, namespace, phase="Succeeded")).splitlines()
    assert [line.split()[0] for line in found] == ["127.0.0.1"] * 5


@pytest.mark.runner
def test_mlruns_image_is_the_runner_environment_for_any_user(
    cluster: Cluster, kubelet: Kubelet, namespace: str
) -> None:
    cluster.apply(
        job(
            namespace,
            "",
            image="docker.io/mlrun/mlrun-kfp:1.9.2",
            command=["python", "-c", "from importlib.metadata import version as v; print(v('mlrun'), v('kfp'))"],
            env=[{"name": "HOME", "value": "/tmp"}],
            securityContext={"runAsUser": 1000, "runAsNonRoot": True},
        )
    )

    assert ended(cluster, namespace)["type"] == "Complete"
    assert log_of(cluster, pod_of(cluster, namespace, phase="Succeeded")) == "1.9.2 1.8.22\n"


def test_hundreds_of_sleeping_pods_are_cheap(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    count = 60
    for number in range(count):
        cluster.apply(job(namespace, "exec sleep 600", name=f"many-{number}"))

    deadline = time.monotonic() + 60
    while kubelet.running() < count:
        assert time.monotonic() < deadline, kubelet.running()
        time.sleep(0.1)
