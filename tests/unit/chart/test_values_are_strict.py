"""The chart takes the values it documents, of the kinds it says, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from docs.generate import chart_schema, chart_values
from docs.generate.chart_values import CHART
from service import __version__

FILES = sorted(path.name for path in CHART.glob("values*.yaml"))
# Objects of Kubernetes, which looks at them itself, and what a parent chart shares with all of its parts.
OPEN = {"namespaceSelector", "podSelector", "labelSelector", "claims", "nodeAffinity", "podAffinity", "podAntiAffinity", "valueFrom", "global", *chart_schema._VOLUMES.split()}  # fmt: skip


def check(values: dict[str, Any]) -> None:
    jsonschema.validate(values, chart_schema.schema())


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(chart_schema.schema())


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_values_fits(file: str) -> None:
    check(yaml.safe_load((CHART / file).read_text(encoding="utf-8")))


def test_every_value_is_explained() -> None:
    explained = {value.path for value in chart_values.read()}
    assert not set(_paths(chart_values.defaults())) - explained


def test_a_remark_belongs_to_the_key_below_it() -> None:
    text = "# Of the file.\n\n# Known,\n# and well.\nknown: 1\n# A part.\npart:\n  lost: 2\n"
    values = chart_values._values(text, yaml.safe_load(text))
    assert [(value.path, value.remark) for value in values] == [
        (("known",), "Known, and well."),
        (("part",), "A part."),
    ]


def _paths(values: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key; what is an object of Kubernetes is one value."""
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict) and ".".join((*above, key)) not in chart_schema._KINDS:
            yield from _paths(value, (*above, key))


def test_no_object_takes_a_key_that_nobody_knows() -> None:
    assert {name for name, _ in _open(chart_schema.schema(), "")} == OPEN


def _open(schema: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, list):
        for one in schema:
            yield from _open(one, name)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        yield name, schema
    for key, below in schema.items():
        if key in ("properties", "patternProperties"):
            for inner, one in below.items():
                yield from _open(one, inner)
        elif key in ("items", "anyOf", "additionalProperties"):
            yield from _open(below, name)


@pytest.mark.parametrize(
    "values",
    [
        {"imagee": {}},
        {"image": {"repository": "registry.example.com/mlrun-gitops:tagged"}},
        {"image": {"digest": "sha256:12"}},
        {"image": {"pullPolicy": "Sometimes"}},
        {"replicas": -1},
        {"replicas": "two"},
        {"store": {"kind": "mysql"}},
        {"store": {"postgresql": {"url": "postgresql://ada:secret@db/gitops"}}},
        {"auth": {"tokens": ["has a space"]}},
        {"secrets": {"Forge": {"existingSecret": "x"}}},
        {"secrets": {"forge": {}}},
        {"secrets": {"forge": {"existingSecret": "x", "value": "in the open"}}},
        {"mlrun": {"token": "in the open"}},
        {"mlrun": {"api": "mlrun-api:8080"}},
        {"service": {"port": 0}},
        {"service": {"type": "ExternalName"}},
        {"ingress": {"paths": ["webhooks"]}},
        {"ingress": {"paths": []}},
        {"persistence": {"accessModes": ["ReadOnlyMany"]}},
        {"persistence": {"size": "ten"}},
        {"podSecurityContext": {"runAsUser": 0}},
        {"podSecurityContext": {"runAsNonRoot": False}},
        {"securityContext": {"privileged": True}},
        {"extraVolumes": [{"name": "host", "hostPath": {"path": "/"}}]},
        {"extraEnv": [{"value": "x"}]},
        {"runner": {"networkPolicy": {"egress": [{"from": []}]}}},
        {"podDisruptionBudget": {"maxUnavailable": 0}},
        {"config": {"repository": []}},
        {"config": {"server": {"hostt": "x"}}},
        {"config": {"launcher": {"kind": "threads"}}},
        {"config": {"repositories": [{"name": "x", "forge": "sourceforge"}]}},
        {"config": {"notify": [{"too": "console"}]}},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(values)


@pytest.mark.parametrize(
    "values",
    [
        {"image": {"repository": "registry.example.com:5000/ml/mlrun-gitops"}},
        {"image": {"repository": "localhost/mlrun-gitops"}},
        {"podDisruptionBudget": {"maxUnavailable": "25%"}},
        {"config": {"repositories": [{"name": "x", "webhook_secrets_file": "/x", "poll": "3m", "projects": "a, b"}]}},
        {"config": {"handlers": {"team": {"kind": "slack", "token_file": "/x", "channel": "#ml"}}}},
        {"extraVolumes": [{"name": "ca", "configMap": {"name": "ca", "items": []}}]},
        {"global": {"anything": 1}, "enabled": True},
    ],
    ids=str,
)
def test_a_right_value_is_taken(values: dict[str, Any]) -> None:
    check(values)


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == chart["version"] == __version__


def test_a_default_that_does_not_tell_its_kind_is_noticed() -> None:
    with pytest.raises(ValueError, match="new: a default of \\[\\] does not tell its kind"):
        chart_schema._object({"new": []}, "", {})
