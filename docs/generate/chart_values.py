"""README.md of the chart: every value with its default and what it means, from the remarks in values.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from docs.generate.markdown import code, page, sentence, table

CHART = Path(__file__).resolve().parents[2] / "helm" / "mlrun-gitops"

_KEY = re.compile(r"^( *)([A-Za-z]\w*):")
_INTRO = """\
The service in a cluster, beside MLRun: its pod or pods, a way in for webhooks, its rights in the namespaces of runners, and nothing that
is shared by the whole cluster. The [operator's guide](../../docs/guide/operators-guide.md) says how to install, upgrade, back up and repair it.

Needed are a repository of images that has the service's (nothing is published yet), a Secret with at least one token of the API, and the
settings of what it is to follow. `values-single-node.yaml` and `values-ha.yaml` show all three; what does not go together is refused with a
sentence that says what to change. A key that is not on this page is an error. Kubernetes 1.20 and newer, helm 3.12 and newer."""
_HEADS = ("value", "default", "meaning")


@dataclass(frozen=True)
class Value:
    """A key of values.yaml: `path` from the top, and what the remark above it says."""

    path: tuple[str, ...]
    remark: str
    default: Any

    @property
    def section(self) -> bool:
        """Whether it has keys of its own that are explained one by one."""
        return any(other.path[:-1] == self.path for other in read())


@cache
def defaults() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def read() -> tuple[Value, ...]:
    """Every key that has a remark, in the file's order."""
    return tuple(_values((CHART / "values.yaml").read_text(encoding="utf-8"), defaults()))


def _values(text: str, loaded: dict[str, Any]) -> Iterator[Value]:
    remark: list[str] = []
    path: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            remark.append(stripped.removeprefix("#").strip())
            continue
        if found := _KEY.match(line):
            path = [*path[: len(found[1]) // 2], found[2]]
            if remark:
                yield Value(tuple(path), sentence(" ".join(remark)), _at(loaded, path))
        remark = []


def _at(loaded: dict[str, Any], path: list[str]) -> Any:
    here: Any = loaded
    for key in path:
        here = here[key]
    return here


def text() -> str:
    sections = [value for value in read() if len(value.path) == 1 and value.section]
    plain = [value for value in read() if len(value.path) == 1 and not value.section]
    return page(
        "mlrun-gitops, the Helm chart",
        "helm/mlrun-gitops/values.yaml",
        _INTRO,
        "## Of the whole release\n\n" + table(_HEADS, (_row(value) for value in plain)),
        *(_section(value) for value in sections),
    )


def _section(section: Value) -> str:
    below = [value for value in read() if value.path[0] == section.path[0] and value is not section]
    return f"## `{section.path[0]}`\n\n{section.remark}\n\n" + table(_HEADS, (_row(value) for value in below))


def _row(value: Value) -> tuple[str, ...]:
    return (
        code(".".join(value.path)),
        "–" if value.section else code(value.default) if value.default != "" else "",
        value.remark,
    )
