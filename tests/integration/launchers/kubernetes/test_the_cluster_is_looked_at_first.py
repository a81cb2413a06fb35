"""What `prepare` and `mlrun-gitops doctor` find out before the first job would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import time_machine

from service.errors import ClusterAway, ClusterRefused, RunnerEnvironmentError
from service.launchers.kubernetes import check, connection
from service.launchers.kubernetes.api import Api
from service.settings import Kubernetes

pytestmark = pytest.mark.kubernetes


def test_all_is_well(stage):
    stage.launcher.prepare()
    found = list(check(stage.settings.launcher.kubernetes))
    assert not [one for one in found if one.mend]
    assert "Kubernetes v1.20.2" in found[0].said


def test_a_right_is_lacking(stage, cluster):
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{stage.namespace}/roles/gitops"
    role = cluster.api.get(path)
    kept = [rule for rule in role["rules"] if rule["resources"] != ["pods/log"]]
    cluster.api.put(path, {**role, "rules": kept})
    stage.wait(lambda: [one for one in check(stage.settings.launcher.kubernetes) if one.mend])
    (lacking,) = [one for one in check(stage.settings.launcher.kubernetes) if one.mend]
    assert lacking.said == f"the service may not get pods/log in namespace {stage.namespace}"
    with pytest.raises(RunnerEnvironmentError, match=r"may not get pods/log"):
        stage.launcher.prepare()


def test_a_service_account_that_is_not_there(stage, cluster):
    admin = Kubernetes(kubeconfig=cluster.kubeconfig, namespace=stage.namespace, service_account="nobody")
    assert "nobody is not there" in next(one.said for one in check(admin) if one.mend)
    ours = stage.settings.launcher.kubernetes.model_copy(update={"service_account": "nobody"})
    assert "for want of that right" in list(check(ours))[-1].said


def test_nobody_answers(stage, cluster):
    cluster.stop_apiserver()
    with pytest.raises(ClusterAway, match="does not answer"):
        list(check(stage.settings.launcher.kubernetes))
    cluster.start_apiserver()


def test_a_service_in_a_pod_is_its_service_account_whose_token_changes(stage, cluster, tmp_path, monkeypatch):
    from kubernetes.config import incluster_config

    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    right = cluster.service_account_token(stage.namespace, "gitops")
    token.write_text(right)
    authority.write_bytes(cluster.authority.certificate.read_bytes())
    (tmp_path / "namespace").write_text(stage.namespace)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setattr(connection, "_SERVICE_ACCOUNT", tmp_path)
    server = urlsplit(cluster.server)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", server.hostname)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    api = Api(Kubernetes())
    assert api.namespace == stage.namespace
    assert api.list("jobs")[0] == []
    token.write_text("revoked")
    later = time_machine.travel(datetime.now(UTC) + timedelta(minutes=2))
    with later, pytest.raises(ClusterAway, match="does not know us"):
        api.list("jobs")
    token.write_text(right)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=4)):
        assert api.list("jobs")[0] == []
    api.close()


def test_no_cluster_is_named(tmp_path):
    for settings in (Kubernetes(), Kubernetes(kubeconfig=tmp_path / "nothing")):
        with pytest.raises(ClusterRefused, match="no cluster is configured") as failure:
            list(check(settings))
        assert "launcher.kubernetes.kubeconfig" in failure.value.mend
