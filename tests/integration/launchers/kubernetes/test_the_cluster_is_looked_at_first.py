"""What `prepare` and `mlrun-gitops doctor` find out before the first job would."""

from __future__ import annotations

import pytest

from service.errors import ClusterAway, ClusterRefused, RunnerEnvironmentError
from service.launchers.kubernetes import check
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


def test_no_cluster_is_named(tmp_path):
    for settings in (Kubernetes(), Kubernetes(kubeconfig=tmp_path / "nothing")):
        with pytest.raises(ClusterRefused, match="no cluster is configured") as failure:
            list(check(settings))
        assert "launcher.kubernetes.kubeconfig" in failure.value.mend
