"""The chart on a real control plane: what it makes is there, may do what the table of rights says, and goes again.

The control plane is Kubernetes 1.20. It takes NetworkPolicies and enforces none, and it serves neither HTTPRoute and ServiceMonitor
nor policy/v1 and autoscaling/v2, of which it gets the versions before. Pods of the service are not run here: tests/e2e does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.launchers.kubernetes.rights import RIGHTS
from tests.integration.chart.cluster import Kind, Operator, calls, eventually, forbidden, kinds, may, present
from tests.integration.chart.features import FEATURES
from tests.integration.chart.helm import LEAST, POSTGRES, RELEASE, VERSIONS, Document, RefusedError, over, template
from tests.peers.kubernetes import Api, Cluster
from tests.peers.kubernetes.api import client_context
from tests.peers.kubernetes.tools import Pair

pytestmark = [pytest.mark.helm, pytest.mark.kubernetes]

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
# What every user of a cluster may: ask what it may.
EVERYBODYS = {"selfsubjectaccessreviews", "selfsubjectrulesreviews"}
GRANTED = {(right.group, right.resource, verb) for right in RIGHTS for verb in right.verbs}
# Everything at once that this cluster can be asked for.
ALL: Document = over(
    POSTGRES,
    FEATURES["postgres, autoscaled"],
    FEATURES["ingress with all"],
    FEATURES["network narrow"],
    FEATURES["placed"],
    FEATURES["two secrets"],
)
PRIORITY: Document = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "high"},
    "value": 1,
}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> Pair:
    chosen: Pair = request.param
    return chosen


@pytest.fixture
def runners(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("runners") as name:
        yield name


@pytest.fixture
def operator(cluster: Cluster, namespace: str, version: Pair, tmp_path: Path) -> Operator:
    return Operator(cluster, namespace, version, tmp_path)


def least(runners: str) -> Document:
    return over(LEAST, {"runner": {"namespaces": [runners]}})


def made(operator: Operator, *values: Document) -> set[tuple[str, str]]:
    """Kind and name of what the chart is to make, without hooks."""
    documents = template(*values, version=operator.version, kubernetes="1.20", namespace=operator.namespace)
    return {
        (document["kind"].lower(), document["metadata"]["name"])
        for document in documents
        if "helm.sh/hook" not in document["metadata"].get("annotations", {})
    }


def there(operator: Operator, runners: str, before: set[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """Kind and name of what came, without helm's own notes."""
    return {
        (singular(kind), name)
        for kind, _, name in present(operator.cluster.api, operator.namespace, runners).keys() - before
        if not name.startswith("sh.helm.release.v1.")
    }


def singular(kind: str) -> str:
    return {"ingresses": "ingress", "networkpolicies": "networkpolicy"}.get(kind, kind.removesuffix("s"))


def before(operator: Operator, runners: str) -> set[tuple[str, str, str]]:
    return set(present(operator.cluster.api, operator.namespace, runners))


@pytest.mark.parametrize("values", [{}, ALL], ids=["the least", "everything"])
def test_what_is_made_is_there_and_goes_when_it_is_uninstalled(
    operator: Operator, runners: str, values: Document
) -> None:
    if values:
        operator.cluster.apply(PRIORITY)
    empty = before(operator, runners)
    chosen = over(least(runners), values)
    operator.install(chosen, more=("--no-hooks",))
    assert there(operator, runners, empty) == made(operator, chosen)
    operator.uninstall()
    eventually(lambda: set(present(operator.cluster.api, operator.namespace, runners)) - empty, set())


def test_a_claim_is_the_same_after_upgrade_and_rollback_and_stays_when_it_is_to(
    operator: Operator, runners: str
) -> None:
    api, empty = operator.cluster.api, before(operator, runners)
    values = over(least(runners), {"persistence": {"keep": True}})
    claim, settings, deployment = (
        f"/api/v1/namespaces/{operator.namespace}/persistentvolumeclaims/gitops-mlrun-gitops-data",
        f"/api/v1/namespaces/{operator.namespace}/configmaps/gitops-mlrun-gitops",
        f"/apis/apps/v1/namespaces/{operator.namespace}/deployments/gitops-mlrun-gitops",
    )

    def state() -> tuple[str, str, str]:
        pods = api.get(deployment)["spec"]["template"]
        return (
            api.get(claim)["metadata"]["uid"],
            api.get(settings)["data"]["config.yaml"],
            pods["metadata"]["annotations"]["checksum/config"],
        )

    operator.install(values)
    first = state()
    operator.upgrade(values, {"config": {"server": {"threads": 7}}, "image": {"tag": "next"}})
    second = state()
    assert second[0] == first[0]
    assert "threads: 7" in second[1]
    assert second[2] != first[2]
    assert api.get(deployment)["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":next")
    operator.rollback(1)
    assert state() == first
    operator.uninstall()
    eventually(
        lambda: set(present(api, operator.namespace, runners)) - empty,
        {("persistentvolumeclaims", operator.namespace, "gitops-mlrun-gitops-data")},
    )
    operator.install(values)
    assert state()[0] == first[0], "a new release takes the claim up again"


def test_an_upgrade_that_is_refused_changes_nothing(operator: Operator, runners: str) -> None:
    def versions() -> dict[tuple[str, str, str], str]:
        """Of what nobody but helm writes to."""
        found = present(operator.cluster.api, operator.namespace, runners)
        theirs = ("configmaps", "secrets", "services", "roles", "rolebindings", "serviceaccounts")
        return {key: it["metadata"]["resourceVersion"] for key, it in found.items() if key[0] in theirs and key[1]}

    operator.install(least(runners))
    known = versions()
    with pytest.raises(RefusedError, match="replicas is 2, and a store of sqlite"):
        operator.upgrade(least(runners), {"replicas": 2})
    assert versions() == known
    operator.upgrade(least(runners), {"config": {"server": {"threads": 7}}})
    assert versions() != known


def test_namespaces_of_runners_come_and_go_with_the_release(operator: Operator) -> None:
    made_for = f"{operator.namespace}-runners"
    operator.install(LEAST, {"runner": {"namespaces": [made_for], "createNamespaces": True}})
    labels = operator.cluster.api.get(f"/api/v1/namespaces/{made_for}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert operator.cluster.api.items(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{made_for}/roles")
    operator.uninstall()
    eventually(
        lambda: made_for in [it["metadata"]["name"] for it in operator.cluster.api.items("/api/v1/namespaces")], False
    )


def test_helm_says_what_to_do_next(operator: Operator, runners: str) -> None:
    repository = {"name": "fraud", "url": "https://git.example.com/ml/fraud.git", "webhook_secrets": "insecure"}
    said = operator.install(least(runners), {"config": {"repositories": [repository]}}, FEATURES["ingress"])
    assert "fraud: https://gitops.example.com/webhooks/github/fraud" in said
    assert f"helm --namespace {operator.namespace} test {RELEASE}" in said
    assert f"it runs workflows in {runners}." in said
    said = operator.upgrade(least(runners))
    assert "No repository is followed yet" in said
    assert "Nothing leads in from outside" in said


@pytest.fixture
def account(operator: Operator, runners: str) -> Iterator[Api]:
    """The API as the service's own account has it."""
    operator.install(least(runners))
    token = operator.cluster.service_account_token(operator.namespace, "gitops-mlrun-gitops")
    authority = operator.cluster.authority.certificate
    with Api(operator.cluster.server, client_context(authority, None), token) as api:
        yield api


# Thousands of questions; what the other helm makes is the same, which test_every_manifest_is_valid shows.
@pytest.mark.parametrize("version", ["37"])
def test_the_service_may_do_what_the_table_says_and_nothing_else_anywhere(
    account: Api, operator: Operator, runners: str
) -> None:
    """Every verb on every resource that the cluster serves: among runners, in the release's namespace, in another, and on all of the cluster."""
    served = kinds(operator.cluster.api)
    assert len(served) > 80
    found = {
        (where, *right)
        for where, namespace in (
            ("runners", runners),
            ("release", operator.namespace),
            ("other", "default"),
            ("all", ""),
        )
        for kind in served
        if kind.name not in EVERYBODYS
        for verb in VERBS
        if (right := (kind.group, kind.name, verb)) and may(account, verb, kind, namespace)
    }
    assert found == {("runners", *right) for right in GRANTED}


def test_somebody_who_may_more_would_be_noticed(operator: Operator, runners: str) -> None:
    admin = operator.cluster.api
    assert may(admin, "list", Kind("/api/v1", "", "secrets", True, ()), runners)
    assert not forbidden(admin, "GET", f"/api/v1/namespaces/{runners}/secrets", None)


def test_calls_that_the_table_grants_are_answered_and_their_neighbours_refused(account: Api, runners: str) -> None:
    refused = {
        (resource, verb): forbidden(account, method, path, body)
        for resource, verb, method, path, body in calls(runners)
    }
    granted = {(resource, verb) for _, resource, verb in GRANTED}
    assert {call for call, was in refused.items() if not was} == granted


def test_pods_of_runners_have_no_rights_at_all(operator: Operator, runners: str) -> None:
    operator.install(least(runners))
    [name] = [
        it["metadata"]["name"]
        for it in operator.cluster.api.items(f"/api/v1/namespaces/{runners}/serviceaccounts")
        if it["metadata"]["name"] != "default"
    ]
    token = operator.cluster.service_account_token(runners, name)
    with Api(operator.cluster.server, client_context(operator.cluster.authority.certificate, None), token) as api:
        allowed = {
            (kind.name, verb)
            for kind in kinds(operator.cluster.api)
            if kind.name not in EVERYBODYS
            for verb in VERBS
            if may(api, verb, kind, runners)
        }
    assert allowed == set()
