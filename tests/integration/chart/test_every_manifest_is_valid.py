"""Whatever the chart is asked for, what comes out is valid for every Kubernetes, the same from both helms, and consistent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import kubernetes_validate
import pytest
from kubernetes_validate.utils import SchemaNotFoundError

from docs.generate.chart_values import CHART
from tests.integration.chart.features import FEATURES, SERVED
from tests.integration.chart.helm import (
    KUBERNETES,
    LEAST,
    MONITORS,
    ROUTES,
    VERSIONS,
    Document,
    run,
    template,
    values_of,
)
from tests.peers.kubernetes.tools import Pair

pytestmark = pytest.mark.helm

FILES = sorted(path.name for path in CHART.glob("values-*.yaml"))
# Kinds that are not Kubernetes' own, of which kubernetes-validate has no schema.
FOREIGN = {"HTTPRoute", "ServiceMonitor"}


@pytest.fixture(autouse=True, scope="module")
def _schemas_are_read_once() -> Iterator[None]:
    """They are files of megabytes, which are otherwise read for each manifest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))
        yield


def validate(documents: list[Document], kubernetes: str) -> None:
    """As `kubernetes-validate --strict`, and by the schemas of exactly that Kubernetes."""
    for document in documents:
        if document["kind"] not in FOREIGN:
            assert _validated(json.dumps(document), kubernetes) == kubernetes


@cache
def _validated(document: str, kubernetes: str) -> str:
    """Which Kubernetes' schemas were used. Features have most of their manifests in common."""
    return kubernetes_validate.validate(json.loads(document), kubernetes, strict=True)


def everything(kubernetes: str, version: Pair = "37") -> Iterator[tuple[str, list[Document]]]:
    for name, values in FEATURES.items():
        yield name, template(LEAST, values, version=version, kubernetes=kubernetes, served=SERVED.get(name, []))


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES)
def test_a_file_of_values_gives_valid_manifests(file: str, version: Pair, kubernetes: str) -> None:
    validate(template(values_of(file), version=version, kubernetes=kubernetes), kubernetes)


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_every_feature_gives_valid_manifests(kubernetes: str) -> None:
    for _, documents in everything(kubernetes):
        validate(documents, kubernetes)


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_changes_something(name: str) -> None:
    if name != "nothing more":
        assert template(LEAST, FEATURES[name], served=SERVED.get(name, [])) != template(LEAST)


@pytest.mark.parametrize("name", FEATURES)
def test_both_helms_make_the_same(name: str) -> None:
    old, new = (template(LEAST, FEATURES[name], version=version, served=SERVED.get(name, [])) for version in VERSIONS)
    assert sorted(map(str, old)) == sorted(map(str, new))


def test_every_kind_but_two_is_held_against_a_schema() -> None:
    kinds = {document["kind"]: document for _, documents in everything("1.37") for document in documents}
    assert set(kinds) == {
        *("ConfigMap", "Deployment", "HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "Job", "Namespace"),
        *("NetworkPolicy", "PersistentVolumeClaim", "Pod", "PodDisruptionBudget", "Role", "RoleBinding"),
        *("Service", "ServiceAccount", "ServiceMonitor"),
    }
    for kind in FOREIGN:
        with pytest.raises(SchemaNotFoundError):
            kubernetes_validate.validate(kinds[kind], "1.37", strict=True)


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_a_misspelled_field_is_noticed(kubernetes: str) -> None:
    documents = template(LEAST, kubernetes=kubernetes)
    pod = next(it for it in documents if it["kind"] == "Deployment")["spec"]["template"]["spec"]
    pod["enableServiceLink"] = pod.pop("enableServiceLinks")
    with pytest.raises(kubernetes_validate.ValidationError, match="enableServiceLink"):
        validate(documents, kubernetes)


@pytest.mark.parametrize(
    ("kubernetes", "budget", "scaler"),
    [
        ("1.20", "policy/v1beta1", "autoscaling/v2beta2"),
        ("1.21", "policy/v1", "autoscaling/v2beta2"),
        ("1.23", "policy/v1", "autoscaling/v2"),
        ("1.37", "policy/v1", "autoscaling/v2"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_newest_version_that_is_served_is_used(version: Pair, kubernetes: str, budget: str, scaler: str) -> None:
    made = template(LEAST, FEATURES["postgres, autoscaled"], version=version, kubernetes=kubernetes)
    used = {document["kind"]: document["apiVersion"] for document in made}
    assert used["PodDisruptionBudget"] == budget
    assert used["HorizontalPodAutoscaler"] == scaler


@pytest.mark.parametrize("version", VERSIONS)
def test_a_kind_that_the_cluster_may_lack_is_made_as_it_is_served(version: Pair) -> None:
    assert not [it for it in template(LEAST, FEATURES["monitored"], version=version) if it["kind"] == "ServiceMonitor"]
    assert [
        it
        for it in template(LEAST, FEATURES["monitored"], version=version, served=[MONITORS])
        if it["kind"] == "ServiceMonitor"
    ]
    older = template(LEAST, FEATURES["route"], version=version, served=[ROUTES.replace("v1", "v1beta1")])
    assert {it["apiVersion"] for it in older if it["kind"] == "HTTPRoute"} == {"gateway.networking.k8s.io/v1beta1"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES)
def test_helm_finds_nothing_to_complain_of(file: str, version: Pair) -> None:
    said = run("lint", "--strict", str(CHART), "--values", str(CHART / file), version=version)
    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "WARNING" not in said


@pytest.mark.parametrize("version", VERSIONS)
def test_names_that_look_like_numbers_are_names(version: Pair) -> None:
    numbers: Document = {
        "config": {"launcher": {"kubernetes": {"instance": "1"}}},
        "serviceAccount": {"name": "3"},
        "image": {"pullSecrets": ["4"]},
        "priorityClassName": "5",
        "auth": {"existingSecret": "6"},
        "ingress": {"enabled": True, "host": "gitops.example.com", "tlsSecret": "7"},
        "secrets": {"forge": {"existingSecret": "8"}},
    }
    validate(template(LEAST, numbers, version=version, release="99", namespace="123"), "1.37")
