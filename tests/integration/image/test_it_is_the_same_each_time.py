"""Two builds of one commit on one base are the same layers, and the bill of materials lists what is in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from tests.peers.containers import Engine
from tests.peers.containers.ours import build_ours

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[3]
_DEBIAN = r"${db:Status-Status} ${Package} ${Version} ${Architecture}\n"
_PYTHON = "import importlib.metadata as m; print(*(f'{d.name} {d.version}' for d in m.distributions()), sep='\\n')"


def _layers_of_a_build(engine: Engine) -> list[str]:
    name = "localhost/mlrun-gitops-other:twice"
    try:
        build_ours(engine, name, "--no-cache")
        layers: list[str] = engine.inspect(name)["RootFS"]["Layers"]
        return layers
    finally:
        engine.podman("rmi", "--force", name, check=False)


@pytest.mark.slow
def test_two_builds_give_the_same_layers(engine: Engine, image: str) -> None:
    """The image of all tests is one of the two, unless it was put together of layers that were there before, perhaps of older packages."""
    built = _layers_of_a_build(engine)
    assert built == engine.inspect(image)["RootFS"]["Layers"] or built == _layers_of_a_build(engine)


def _sbom(engine: Engine, image: str, to: Path) -> dict[str, Any]:
    environment = {**engine.environment, "BUILDER": "podman"}
    subprocess.run([sys.executable, str(ROOT / "image/sbom.py"), image, str(to)], env=environment, check=True)
    found: dict[str, Any] = json.loads(to.read_text())
    return found


def test_the_bill_of_materials_lists_exactly_what_is_installed(engine: Engine, image: str, tmp_path: Path) -> None:
    bill = _sbom(engine, image, tmp_path / "sbom.json")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "mlrun-gitops"
    purls = [PackageURL.from_string(part["purl"]) for part in bill["components"]]
    assert not [purl for purl, count in Counter(purls).items() if count > 1]

    # The image itself is asked, by its own tools.
    debian = engine.run(image, "-W", "-f", _DEBIAN, options=["--entrypoint", "dpkg-query"]).stdout.splitlines()
    installed = {tuple(line.split()[1:]) for line in debian if line.startswith("installed ")}
    listed = {(purl.name, purl.version, purl.qualifiers["arch"]) for purl in purls if purl.type == "deb"}
    assert listed == installed
    assert {"git", "openssh-client", "tini"} <= {name for name, *_ in installed}

    python = engine.run(image, "-c", _PYTHON, options=["--entrypoint", "python"]).stdout.splitlines()
    found = {(canonicalize_name(line.split()[0]), line.split()[1]) for line in python}
    assert {(purl.name, purl.version) for purl in purls if purl.type == "pypi"} == found
    assert "uv" not in {name for name, _ in found}
    assert {purl.type for purl in purls} == {"deb", "pypi"}


def test_the_bill_of_materials_is_the_same_each_time(engine: Engine, image: str, tmp_path: Path) -> None:
    assert _sbom(engine, image, tmp_path / "one.json") == _sbom(engine, image, tmp_path / "other.json")


def test_a_python_that_is_no_package_of_debians_is_listed_too(engine: Engine, image: str, tmp_path: Path) -> None:
    """As in `python:3.11-slim-bookworm`, whose environment says which it is."""
    name = "localhost/mlrun-gitops-python:sbom"
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nENV PYTHON_VERSION=3.11.9\n")
    try:
        engine.build(tmp_path, name, arguments={"BASE": image})
        bill = _sbom(engine, name, tmp_path / "sbom.json")
    finally:
        engine.podman("rmi", "--force", name, check=False)
    assert "pkg:generic/python@3.11.9" in [part["purl"] for part in bill["components"]]
