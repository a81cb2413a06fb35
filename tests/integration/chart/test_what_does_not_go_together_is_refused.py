"""Values that are fine alone and wrong together end the render, with what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from service.settings import Settings
from service.settings.shape import entry, is_mapping, is_secret, section
from tests.integration.chart.features import FEATURES
from tests.integration.chart.helm import LEAST, POSTGRES, ROUTES, VERSIONS, Document, RefusedError, over, template
from tests.peers.kubernetes.tools import Pair

pytestmark = pytest.mark.helm

_INGRESS = FEATURES["ingress"]
_ROUTE = FEATURES["route"]

# Values, what is said of them, and what mends it.
WRONG: dict[str, tuple[Document, str, Document]] = {
    "no image": (
        {"image": {"repository": ""}},
        "image.repository is empty: build the image",
        {"image": {"repository": "r/x"}},
    ),
    "no token": (
        {"auth": {"tokens": []}},
        "auth.tokens is empty, and the API must not be open",
        {"auth": {"tokens": ["a"]}},
    ),
    "one port for two": (
        {"healthPort": 8080},
        "healthPort and containerPort are both 8080",
        {"healthPort": 8081},
    ),
    "tokens without a Secret": (
        {"auth": {"existingSecret": ""}},
        "auth.existingSecret is empty: name the Secret",
        {"auth": {"existingSecret": "s"}},
    ),
    "sqlite, two pods": ({"replicas": 2}, "replicas is 2, and a store of sqlite has room for one pod", {"replicas": 1}),
    "sqlite, autoscaled": (
        {"autoscaling": {"enabled": True}},
        "autoscaling.enabled is true, and a store of sqlite",
        POSTGRES,
    ),
    "sqlite on nothing": (
        {"persistence": {"enabled": False}},
        "persistence.enabled is false, and a store of sqlite would be gone",
        {"persistence": {"ephemeral": True}},
    ),
    "postgres, where?": (
        {"store": {"kind": "postgresql"}},
        "store.postgresql.existingSecret is empty",
        {"store": {"postgresql": {"existingSecret": "s"}}},
    ),
    "several pods, a disk of one node": (
        over(POSTGRES, {"replicas": 2, "persistence": {"enabled": True}}),
        "persistence.accessModes has no ReadWriteMany",
        {"persistence": {"enabled": False}},
    ),
    "a budget for one": (
        {"podDisruptionBudget": {"enabled": True}},
        "a single pod, whose node could never be drained",
        over(POSTGRES, {"replicas": 2}),
    ),
    "more at least than at most": (
        over(POSTGRES, {"autoscaling": {"enabled": True, "minReplicas": 9}}),
        "autoscaling.minReplicas is more than",
        {"autoscaling": {"maxReplicas": 9}},
    ),
    "an account without a name": (
        {"serviceAccount": {"create": False}},
        "serviceAccount.name is empty while",
        {"serviceAccount": {"name": "x"}},
    ),
    "runners' account without a name": (
        {"runner": {"serviceAccount": {"create": False}}},
        "runner.serviceAccount.name is empty",
        {"runner": {"serviceAccount": {"name": "x"}}},
    ),
    "two ways in": (
        over(_INGRESS, _ROUTE),
        "ingress.enabled and httpRoute.enabled are both true",
        {"ingress": {"enabled": False}},
    ),
    "an ingress to nowhere": (
        {"ingress": {"enabled": True}},
        "ingress.host is empty",
        {"ingress": {"host": "gitops.example.com"}},
    ),
    "a route without a gateway": (
        over(_ROUTE, {"httpRoute": {"parentRefs": []}}),
        "httpRoute.hostnames or httpRoute.parentRefs is empty",
        {"httpRoute": {"parentRefs": [{"name": "x"}]}},
    ),
    "no namespace for runners": (
        {"runner": {"namespaces": []}},
        "runner.namespaces is empty",
        {"runner": {"namespaces": ["x"]}},
    ),
    "runners where there are no rights": (
        {"config": {"launcher": {"kubernetes": {"namespace": "other"}}}},
        "config.launcher.kubernetes.namespace is other, in which the service has no rights",
        {"runner": {"namespaces": ["x", "other"]}},
    ),
    "the process launcher": (
        {"config": {"launcher": {"kind": "process"}}},
        "config.launcher.kind is process, and in a cluster",
        {"config": {"launcher": {"kind": "kubernetes"}}},
    ),
    "the process launcher for some": (
        {"config": {"policy": {"launchers": ["process"]}}},
        "config.policy.launchers has process",
        {"config": {"policy": {"launchers": []}}},
    ),
    "the process launcher, in one text": (
        {"config": {"policy": {"launchers": "mlrun, process"}}},
        "config.policy.launchers has process",
        {"config": {"policy": {"launchers": "mlrun"}}, "mlrun": {"api": "http://mlrun"}},
    ),
    "the process launcher by a variable": (
        {"extraEnv": [{"name": "GITOPS_LAUNCHER__KIND", "value": "process"}]},
        "extraEnv has GITOPS_LAUNCHER__KIND, which would win over what the chart says",
        {"extraEnv": [{"name": "GITOPS_LAUNCHER__CONCURRENCY", "value": "5"}]},
    ),
    "loads by the process launcher": (
        {"config": {"launcher": {"loads": "process"}}},
        "config.launcher.loads is process, and in a cluster",
        {"config": {"launcher": {"loads": "kubernetes"}}},
    ),
    "MLRun's runner without MLRun": (
        {"config": {"launcher": {"kind": "mlrun"}}},
        "has mlrun, and there is no MLRun to run anything",
        {"mlrun": {"api": "http://mlrun"}},
    ),
    "MLRun's runner without MLRun, for some": (
        {"config": {"policy": {"launchers": ["mlrun"]}}},
        "has mlrun, and there is no MLRun to run anything",
        {"mlrun": {"api": "http://mlrun"}},
    ),
    "keys of no Secret": (
        {"mlrun": {"api": "http://mlrun", "tokenKey": "x"}},
        "mlrun.existingSecret is empty: name the Secret",
        {"mlrun": {"existingSecret": "x"}},
    ),
    "a Secret of no keys": (
        {"mlrun": {"api": "http://mlrun", "existingSecret": "x"}},
        "mlrun.existingSecret is named and none of its keys",
        {"mlrun": {"runnerTokenKey": "x"}},
    ),
    "a credential for nobody": (
        {"mlrun": {"existingSecret": "x", "tokenKey": "x"}},
        "mlrun.api is empty, and mlrun.existingSecret would be shown to nobody",
        {"mlrun": {"api": "http://mlrun"}},
    ),
    "two credentials": (
        {"mlrun": {"api": "http://mlrun", "existingSecret": "x", "tokenKey": "x", "accessKeyKey": "y"}},
        "mlrun.tokenKey and mlrun.accessKeyKey are both set",
        {"mlrun": {"tokenKey": ""}},
    ),
    "an end that is cut off": (
        over(POSTGRES, {"terminationGracePeriodSeconds": 24}),
        "terminationGracePeriodSeconds is 24, and a pod takes up to 25 s to end",
        {"terminationGracePeriodSeconds": 25},
    ),
    "an end that is cut off, since it is a long one": (
        over(POSTGRES, {"config": {"server": {"drain": "1m"}}}),
        "and a pod takes up to 80 s to end",
        {"terminationGracePeriodSeconds": 80},
    ),
    "a file that is not mounted": (
        {"config": {"mlrun": {"runner_token_file": "/etc/mlrun-gitops/secrets/mlrun/token"}}},
        "config.mlrun.runner_token_file names a file below mlrun, which is not mounted",
        {"secrets": {"mlrun": {"existingSecret": "mlrun"}}},
    ),
    "a secret among runners' variables": (
        {"config": {"launcher": {"kubernetes": {"env": {"DB_PASSWORD": "in the open", "LEVEL": "debug"}}}}},
        "config.launcher.kubernetes.env.DB_PASSWORD looks like a secret",
        {"config": {"launcher": {"kubernetes": {"env": {"DB_PASSWORD": {"secretKeyRef": {"name": "x", "key": "y"}}}}}}},
    ),
    "a secret among variables": (
        {"extraEnv": [{"name": "GITOPS_MLRUN__RUNNER_TOKEN", "value": "in the open"}]},
        "extraEnv has GITOPS_MLRUN__RUNNER_TOKEN with a value",
        {"extraEnv": [{"name": "GITOPS_MLRUN__RUNNER_TOKEN_FILE", "value": "/x"}]},
    ),
}
# What the chart says itself: the settings, and values with which it does.
CHARTS: dict[str, Any] = {
    "data_dir": "/data",
    "store": {"url_file": "/x"},
    "mlrun.api": "http://mlrun",
    "mlrun.token_file": "/x",
    "mlrun.access_key_file": "/x",
    "server.host": "127.0.0.1",
    "server.port": 9000,
    "server.health_port": 9000,
    "launcher.runner_python": "/usr/bin/python3.9",
    "launcher.runs_dir": "/runs",
    "launcher.cache_dir": "/cache",
    "launcher.user": 1000,
    "launcher.warm": False,
    "launcher.trusted": True,
    "launcher.kubernetes.kubeconfig": "/kubeconfig",
    "launcher.kubernetes.context": "other",
}


def refused(*values: Document, version: Pair = "37") -> str:
    with pytest.raises(RefusedError) as told:
        template(LEAST, *values, version=version, served=[ROUTES])
    return str(told.value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", WRONG)
def test_it_is_refused_with_what_to_change_and_taken_when_that_was_done(name: str, version: Pair) -> None:
    values, words, mended = WRONG[name]
    assert words in refused(values, version=version)
    template(LEAST, values, mended, version=version, served=[ROUTES])


def test_what_is_scaled_to_nothing_is_taken_so_that_its_database_can_be_restored() -> None:
    template(LEAST, FEATURES["postgres, several pods"], {"replicas": 0})


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = refused({"replicas": 3, "runner": {"namespaces": []}, "image": {"repository": ""}})
    assert "replicas is 3" in said
    assert "runner.namespaces is empty" in said
    assert "image.repository is empty" in said


@pytest.mark.parametrize("version", VERSIONS)
def test_a_route_without_the_gateway_api_is_refused(version: Pair) -> None:
    with pytest.raises(RefusedError, match="this cluster has no Gateway API: install it, or use ingress"):
        template(LEAST, _ROUTE, version=version)


@pytest.mark.parametrize("key", CHARTS)
def test_a_setting_that_is_the_charts_is_refused(key: str) -> None:
    config: Any = CHARTS[key]
    for part in reversed(key.split(".")):
        config = {part: config}
    assert f"config.{key} is the chart's to say: leave it out" in refused({"config": config})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_that_does_not_exist_is_refused(version: Pair) -> None:
    assert "imagee" in refused({"imagee": {"tag": "x"}}, version=version)
    assert "hostt" in refused({"config": {"server": {"hostt": "x"}}}, version=version)


def _inline(model: type[BaseModel], path: str = "config") -> Iterator[tuple[str, Any]]:
    """Every secret of the settings, with settings in which it stands in the open."""
    for key, field in model.model_fields.items():
        here, inner = section(field.annotation), entry(field.annotation)
        if is_secret(field.annotation):
            yield f"{path}.{key}", {key: "a secret that all may read"}
        elif here is not None:
            yield from ((place, {key: below}) for place, below in _inline(here, f"{path}.{key}"))
        elif inner is not None and (one := section(inner)) is not None:
            if is_mapping(field.annotation):
                for option in ("token", "url", "password", "secret"):
                    yield f"{path}.{key}.x.{option}", {key: {"x": {"kind": "webhook", option: "https://all.may/read"}}}
            else:
                yield from ((place, {key: [below]}) for place, below in _inline(one, f"{path}.{key}[0]"))


SECRETS = dict(_inline(Settings))


def test_the_settings_have_secrets() -> None:
    assert {"config.auth.tokens[0].token", "config.repositories[0].credentials.ssh_key"} < set(SECRETS)
    assert {"config.store.url", "config.mlrun.runner_token", "config.handlers.x.url"} < set(SECRETS)


@pytest.mark.parametrize("place", SECRETS)
def test_a_secret_in_the_settings_is_refused_and_not_repeated(place: str) -> None:
    said = refused({"config": SECRETS[place]})
    # All of `store` is the chart's.
    assert (f"{place} is a secret" if place != "config.store.url" else "config.store is the chart's") in said
    assert "may read" not in said
    assert "may/read" not in said


def test_a_token_as_plain_text_is_refused() -> None:
    assert "config.auth.tokens[0].token is a secret" in refused(
        {"config": {"auth": {"tokens": ["a plain text as a token"]}}}
    )


def test_an_unsigned_webhook_is_no_secret() -> None:
    template(LEAST, {"config": {"repositories": [{"name": "x", "url": "https://x/y", "webhook_secrets": "insecure"}]}})
