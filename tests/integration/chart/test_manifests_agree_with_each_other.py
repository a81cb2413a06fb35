"""What no schema can tell: manifests fit each other, the settings fit the service, and pods are as restricted as promised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.generate.chart_values import CHART
from service.launchers.kubernetes.rights import RIGHTS, rules
from service.settings import load_settings
from tests.integration.chart.features import FEATURES, SERVED
from tests.integration.chart.helm import LEAST, NAMESPACE, VERSIONS, Document, one, over, run, template, values_of

pytestmark = pytest.mark.helm

LABEL = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
DNS = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


@pytest.fixture(params=FEATURES, scope="module")
def made(request: pytest.FixtureRequest) -> list[Document]:
    return template(LEAST, FEATURES[request.param], served=SERVED.get(request.param, []))


def pods(documents: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Each pod that can come of the manifests: its metadata and what is in it."""
    for document in documents:
        if document["kind"] == "Pod":
            yield document["metadata"], document["spec"]
        elif document["kind"] in ("Deployment", "Job"):
            yield document["spec"]["template"]["metadata"], document["spec"]["template"]["spec"]


def test_pods_are_as_pod_security_restricted_has_it(made: list[Document]) -> None:
    assert [complaint for _, pod in pods(made) for complaint in unrestricted(pod)] == []


def unrestricted(pod: Document) -> Iterator[str]:
    """What the page Pod Security Standards forbids a restricted pod, and more: a read-only root."""
    security = pod.get("securityContext", {})
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccomp"
    if not security.get("runAsNonRoot") or security.get("runAsUser") == 0:
        yield "root"
    if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
        yield "host"
    allowed = {"name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}  # fmt: skip
    if any(set(volume) - allowed for volume in pod.get("volumes", [])):
        yield "volumes"
    for container in pod["containers"]:
        inside = container.get("securityContext", {})
        if inside.get("allowPrivilegeEscalation") is not False or inside.get("privileged"):
            yield "privileges"
        if inside.get("capabilities") != {"drop": ["ALL"]}:
            yield "capabilities"
        if inside.get("readOnlyRootFilesystem") is not True:
            yield "a root that can be written"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield "host ports"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"securityContext": {}}, "seccomp"),
        ({"hostNetwork": True}, "host"),
        ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "volumes"),
        ({"containers": [{"securityContext": {"privileged": True}}]}, "privileges"),
    ],
)
def test_a_pod_that_is_not_restricted_is_noticed(change: Document, complaint: str) -> None:
    _, pod = next(pods(template(LEAST)))
    assert complaint in list(unrestricted(pod | change))


def test_only_the_services_pods_have_a_token_of_kubernetes(made: list[Document]) -> None:
    for metadata, pod in pods(made):
        service = metadata["labels"]["app.kubernetes.io/component"] == "service"
        assert pod["automountServiceAccountToken"] is service
    for account in [it for it in made if it["kind"] == "ServiceAccount"]:
        assert account["automountServiceAccountToken"] is False


def test_no_pod_takes_the_namespaces_services_for_settings(made: list[Document]) -> None:
    """A Service of a release named `gitops` would be `GITOPS_MLRUN_GITOPS_PORT`, with which the service does not start."""
    assert [pod["enableServiceLinks"] for _, pod in pods(made)] == [False] * len(list(pods(made)))


def test_what_is_mounted_is_there_and_what_is_there_is_mounted(made: list[Document]) -> None:
    for _, pod in pods(made):
        [container] = pod["containers"]
        volumes = [volume["name"] for volume in pod.get("volumes", [])]
        mounts = [mount["name"] for mount in container.get("volumeMounts", [])]
        assert sorted(volumes) == sorted(mounts)
        assert len(set(volumes)) == len(volumes)


def test_volumes_of_the_release_are_made_by_it(made: list[Document]) -> None:
    claims = {it["metadata"]["name"] for it in made if it["kind"] == "PersistentVolumeClaim"}
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for _, pod in pods(made)
        for volume in pod.get("volumes", [])
        if "persistentVolumeClaim" in volume
    }
    assert used - {"mine"} == claims
    deployment = one(made, "Deployment", component="service")["spec"]["template"]["spec"]
    config = next(volume for volume in deployment["volumes"] if volume["name"] == "config")
    assert config["configMap"]["name"] == one(made, "ConfigMap")["metadata"]["name"]


def test_what_selects_pods_selects_those_of_the_service_only(made: list[Document]) -> None:
    labels = [metadata["labels"] for metadata, _ in pods(made)]
    selectors = [
        one(made, "Service")["spec"]["selector"],
        one(made, "Deployment", component="service")["spec"]["selector"]["matchLabels"],
    ]
    selectors += [it["spec"]["selector"]["matchLabels"] for it in made if it["kind"] == "PodDisruptionBudget"]
    selectors += [
        it["spec"]["podSelector"]["matchLabels"]
        for it in made
        if it["kind"] == "NetworkPolicy" and it["metadata"]["labels"]["app.kubernetes.io/component"] == "service"
    ]
    for selector in selectors:
        chosen = [it["app.kubernetes.io/component"] for it in labels if selector.items() <= it.items()]
        assert chosen == ["service"]


def test_every_port_of_a_service_says_its_protocol_and_leads_to_the_container(made: list[Document]) -> None:
    [container] = one(made, "Deployment", component="service")["spec"]["template"]["spec"]["containers"]
    for port in one(made, "Service")["spec"]["ports"]:
        assert port["protocol"] == "TCP"
        assert port["targetPort"] in [it["name"] for it in container["ports"]]


def test_the_service_listens_where_its_pod_is_looked_for(made: list[Document]) -> None:
    [container] = one(made, "Deployment", component="service")["spec"]["template"]["spec"]["containers"]
    port, health = container["ports"]
    assert settings(made)["server"]["port"] == port["containerPort"]
    assert settings(made)["server"]["health_port"] == health["containerPort"]
    asked = {name: container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "liveness", "readiness")}
    assert asked == {"startup": health["name"], "liveness": health["name"], "readiness": port["name"]}
    for policy in [it for it in made if it["kind"] == "NetworkPolicy" and "Egress" in it["spec"]["policyTypes"]]:
        if policy["metadata"]["labels"]["app.kubernetes.io/component"] == "runners":
            assert {"port": port["containerPort"], "protocol": "TCP"} in policy["spec"]["egress"][1]["ports"]


def test_names_and_labels_are_short_enough(made: list[Document]) -> None:
    assert [it["metadata"]["name"] for it in made if not DNS.match(it["metadata"]["name"])] == []
    assert [it for document in made for it in document["metadata"]["labels"].values() if not LABEL.match(it)] == []


@pytest.mark.parametrize("release", ["gitops", "a" * 53, "mlrun-gitops", "x-mlrun-gitops"])
@pytest.mark.parametrize("namespace", ["ops", "n" * 63])
def test_they_are_with_the_longest_names_too(release: str, namespace: str) -> None:
    documents = template(LEAST, FEATURES["postgres"], release=release, namespace=namespace)
    test_names_and_labels_are_short_enough(documents)
    instance = settings(documents)["launcher"]["kubernetes"]["instance"]
    assert LABEL.match(instance)


def test_two_releases_share_a_namespace_of_runners_and_no_name_in_it() -> None:
    values = over(LEAST, {"runner": {"namespaces": ["shared"]}})
    a, b = (template(values, namespace=namespace) for namespace in ("one", "two"))
    shared = [
        {(it["kind"], it["metadata"]["name"]) for it in made if it["metadata"].get("namespace") == "shared"}
        for made in (a, b)
    ]
    assert shared[0]
    assert not shared[0] & shared[1]
    assert settings(a)["launcher"]["kubernetes"]["instance"] != settings(b)["launcher"]["kubernetes"]["instance"]


def settings(documents: list[Document]) -> Document:
    loaded: Document = yaml.safe_load(one(documents, "ConfigMap")["data"]["config.yaml"])
    return loaded


def test_the_service_takes_the_settings(made: list[Document], tmp_path: Path) -> None:
    """Every file that they name is mounted, from a Secret or by the operator; with these files in place, the service reads them."""
    loaded = load(made, tmp_path)
    assert loaded.launcher.kind == "kubernetes"
    assert loaded.server.host == "0.0.0.0"
    assert loaded.auth.tokens[0].name == "admin"
    assert (loaded.store.url is None) == ("store" not in settings(made))


def load(documents: list[Document], folder: Path) -> Any:
    pod = one(documents, "Deployment", component="service")["spec"]["template"]["spec"]
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    text = one(documents, "ConfigMap")["data"]["config.yaml"]
    for named in re.findall(r"_file: (\S+)", text):
        assert any(named.startswith(f"{mount}/") for mount in mounts), f"{named} is mounted by nothing"
        file = folder / named.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("postgresql+psycopg://a:secret-of-sixteen@db/gitops" if "store" in named else "x" * 40)
    (folder / "config.yaml").write_text(re.sub(r"(_file: )(/\S+)", rf"\1{folder}\2", text))
    return load_settings(folder / "config.yaml", environ={})


@pytest.mark.parametrize("file", sorted(path.name for path in CHART.glob("values-*.yaml")))
def test_the_service_takes_the_settings_of_a_file_of_values(file: str, tmp_path: Path) -> None:
    loaded = load(template(values_of(file)), tmp_path)
    assert [repository.name for repository in loaded.repositories] == ["fraud"]
    assert loaded.server.internal_url == "http://gitops-mlrun-gitops.ops.svc"


def test_numbers_of_settings_stay_whole() -> None:
    assert settings(template(LEAST, FEATURES["settings of all kinds"]))["launcher"]["run_timeout"] == 86400000


def test_what_the_operator_says_wins_over_what_the_chart_knows() -> None:
    said = {"internal_url": "http://10.0.0.1:8080", "public_url": "https://pushes.example.com"}
    kubernetes = {"namespace": "two", "instance": "mine", "service_account": "theirs"}
    config = {"server": said, "launcher": {"kubernetes": kubernetes}}
    made = template(LEAST, {"config": config, "runner": {"namespaces": ["one", "two"]}})
    assert settings(made)["server"].items() >= said.items()
    assert settings(made)["launcher"]["kubernetes"].items() >= kubernetes.items()
    assert one(made, "NetworkPolicy", component="service")
    runners = [it for it in made if it["kind"] == "NetworkPolicy" and it["metadata"].get("namespace") == "two"]
    assert runners[0]["spec"]["podSelector"]["matchLabels"]["mlrun-gitops.io/instance"] == "mine"


def test_pods_of_mlrun_may_fetch_their_files_from_the_service_and_only_where_they_do() -> None:
    narrow = {"networkPolicy": {"ingressFrom": [{"namespaceSelector": {"matchLabels": {"ingress": "yes"}}}]}}
    mlrun: Document = {"api": "http://mlrun-api.mlrun.svc:8080", "namespaces": ["mlrun"]}
    theirs = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mlrun"}}}

    def peers(*values: Document) -> list[Document]:
        [rule] = one(template(LEAST, *values), "NetworkPolicy", component="service")["spec"]["ingress"]
        found: list[Document] = rule.get("from", [])
        return found

    assert theirs in peers(narrow, {"mlrun": mlrun})
    assert theirs not in peers(narrow, {"mlrun": mlrun, "config": {"mlrun": {"source": "git"}}})
    assert theirs not in peers(narrow, {"mlrun": {**mlrun, "api": ""}})
    assert peers({"mlrun": mlrun}) == []  # everybody may


def test_other_settings_make_other_pods_and_the_same_settings_do_not() -> None:
    def marks(*values: Document) -> str:
        deployment = one(template(LEAST, *values), "Deployment", component="service")
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert marks() == marks({"labels": {"team": "ml"}})
    assert marks() != marks({"config": {"server": {"threads": 8}}})


def test_the_role_is_the_table_of_rights(made: list[Document]) -> None:
    roles = [it for it in made if it["kind"] == "Role"]
    assert [role["rules"] for role in roles] == [rules()] * len(roles)
    assert not [it for it in made if it["kind"] in ("ClusterRole", "ClusterRoleBinding")]


def test_the_table_says_each_verb_once_and_why() -> None:
    verbs = [(right.group, right.resource, verb) for right in RIGHTS for verb in right.verbs]
    assert len(verbs) == len(set(verbs))
    assert all(right.reason.endswith(".") for right in RIGHTS)
    assert not [verb for *_, verb in verbs if verb in ("*", "update", "deletecollection", "bind", "escalate")]


@pytest.mark.parametrize(
    ("values", "namespaces"), [({}, [NAMESPACE]), ({"runner": {"namespaces": ["a", "b"]}}, ["a", "b"])]
)
def test_rights_are_granted_in_namespaces_of_runners_and_nowhere_else(values: Document, namespaces: list[str]) -> None:
    made = template(LEAST, values)
    for kind in ("Role", "RoleBinding"):
        assert [it["metadata"]["namespace"] for it in made if it["kind"] == kind] == namespaces
    bound = [it for it in made if it["kind"] == "RoleBinding"]
    account = one(made, "ServiceAccount", component="service")["metadata"]
    for binding in bound:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["name"], "namespace": NAMESPACE}]


@pytest.mark.parametrize(
    ("feature", "settings_of_files"),
    [("MLRun's API by token", {"token", "runner_token"}), ("MLRun's API by access key", {"access_key"})],
)
def test_credentials_of_mlrun_come_from_their_secret_alone(
    feature: str, settings_of_files: set[str], tmp_path: Path
) -> None:
    made = template(LEAST, FEATURES[feature])
    loaded = load(made, tmp_path)
    assert str(loaded.mlrun.api).rstrip("/") == "https://mlrun.example.com"
    assert {key for key in ("token", "access_key", "runner_token") if getattr(loaded.mlrun, key)} == settings_of_files
    assert loaded.launcher.loads == "kubernetes"
    pod = one(made, "Deployment", component="service")["spec"]["template"]["spec"]
    [volume] = [it["secret"] for it in pod["volumes"] if it["name"] == "mlrun"]
    assert {item["path"] for item in volume["items"]} == settings_of_files
    assert volume["secretName"] == "mlrun"


def test_one_pod_of_sqlite_goes_before_the_next_comes() -> None:
    assert one(template(LEAST), "Deployment", component="service")["spec"]["strategy"] == {"type": "Recreate"}
    rolled = one(template(LEAST, FEATURES["postgres"]), "Deployment", component="service")["spec"]["strategy"]
    assert rolled["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_only_postgres_is_brought_up_to_date_by_a_hook() -> None:
    assert not [it for it in template(LEAST) if it["kind"] == "Job"]
    job = one(template(LEAST, FEATURES["postgres"]), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    names = {env["name"]: env["value"] for env in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert names == {"GITOPS_CONFIG": "", "GITOPS_STORE__URL_FILE": "/etc/mlrun-gitops/store/url"}


def test_the_claim_stays_only_when_it_is_asked_to() -> None:
    kept = one(template(LEAST, FEATURES["a claim that stays"]), "PersistentVolumeClaim")["metadata"]["annotations"]
    assert kept == {"helm.sh/resource-policy": "keep", "a": "b"}
    assert "annotations" not in one(template(LEAST), "PersistentVolumeClaim")["metadata"]


@pytest.mark.parametrize("values", [{}, FEATURES["postgres, autoscaled"]], ids=["sqlite", "autoscaled"])
def test_in_maintenance_one_pod_waits_beside_the_files_and_none_serves(values: Document) -> None:
    made = template(LEAST, values, {"maintenance": True})
    service, waiting = (one(made, "Deployment", component=part)["spec"] for part in ("service", "maintenance"))
    assert (service["replicas"], waiting["replicas"]) == (0, 1)
    assert not [it for it in made if it["kind"] == "HorizontalPodAutoscaler"]
    pod = waiting["template"]["spec"]
    assert pod["containers"][0]["command"] == ["tini", "--", "sleep", "infinity"]
    assert pod["volumes"] == service["template"]["spec"]["volumes"]
    assert pod["containers"][0]["volumeMounts"] == service["template"]["spec"]["containers"][0]["volumeMounts"]
    assert not one(made, "Service")["spec"]["selector"].items() <= waiting["template"]["metadata"]["labels"].items()
    assert not [
        it for it in template(LEAST, values) if it["metadata"]["labels"]["app.kubernetes.io/component"] == "maintenance"
    ]


def test_a_scaler_decides_alone() -> None:
    assert (
        "replicas"
        not in one(template(LEAST, FEATURES["postgres, autoscaled"]), "Deployment", component="service")["spec"]
    )
    assert one(template(LEAST, {"replicas": 0}), "Deployment", component="service")["spec"]["replicas"] == 0


def test_a_parent_chart_can_have_it_as_a_part(tmp_path: Path) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "mlrun-gitops").symlink_to(CHART)
    dependency = {"name": "mlrun-gitops", "version": "0.1.0", "condition": "mlrun-gitops.enabled"}
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(chart))
    (tmp_path / "values.yaml").write_text(
        yaml.safe_dump({"global": {"a": 1}, "mlrun-gitops": {"enabled": True, **LEAST}})
    )
    for version in VERSIONS:
        assert "kind: Deployment" in run("template", "x", str(tmp_path), version=version)
