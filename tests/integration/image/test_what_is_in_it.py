"""The image holds the service and what it runs on, and nothing that helps whoever breaks in."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.peers.containers import Engine
from tests.peers.containers.debian import PYTHON

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
# Beyond the base, unpacked: git and ssh, our packages with their bytecode, the service. See docs/guide/container-image.md.
_MOST_BYTES = 260_000_000
_COMPILERS = (
    "gcc",
    "cc",
    "c++",
    "g++",
    "as",
    "ld",
    "make",
    "tcc",
    "clang",
    "rustc",
    "go",
    "pip",
    "pip3",
    "uv",
    "easy_install",
    "patchelf",
)
# Modules that belong to somebody else: MLRun's Python, Alembic's own start.
_IMPORT_ALL = """
import importlib, pkgutil, handlers, service
for package in (service, handlers):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.startswith("service.workflow_runner") and not module.name.endswith((".__main__", ".env")):
            importlib.import_module(module.name)
            print(module.name)
"""


def _shell(engine: Engine, image: str, script: str, *options: str) -> str:
    return engine.run(image, "-c", script, options=["--entrypoint", "/bin/sh", *options]).stdout


def _python(engine: Engine, image: str, program: str) -> str:
    options = ["--entrypoint", "python", "--read-only", "--tmpfs", "/tmp"]
    return engine.run(image, "-c", program, options=options).stdout


def test_its_labels_say_what_it_is(engine: Engine, image: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    labels = engine.inspect(image)["Labels"]
    said = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert (said["title"], said["version"], said["licenses"]) == (
        project["name"],
        project["version"],
        project["license"],
    )
    assert re.fullmatch(r"[0-9a-f]{40}(-changed)?", said["revision"])


def test_built_without_a_word_it_says_the_same_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nARG VERSION={version}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_it_serves_as_a_numbered_user_who_is_not_root(engine: Engine, image: str) -> None:
    config = engine.inspect(image)["Config"]
    assert config["User"] == "10001:0"
    assert (config["Entrypoint"], config["Cmd"]) == (["tini", "--", "mlrun-gitops"], ["serve"])
    assert "8080/tcp" in config["ExposedPorts"]


def test_nothing_in_it_makes_anybody_root_and_the_service_can_change_none_of_its_files(
    engine: Engine, image: str
) -> None:
    assert _shell(engine, image, "find / -xdev -type f -perm /6000", "--user", "0") == ""
    writable = _shell(
        engine, image, "find / -xdev -writable ! -type l ! -path '/proc/*' ! -path '/dev/*' 2>&- || true"
    ).split("\n")
    assert {path for path in writable if path} <= {
        "/tmp", "/var/tmp", "/run/lock", "/var/lib/mlrun-gitops",
    }  # fmt: skip


def test_nothing_in_it_builds_or_installs(engine: Engine, image: str) -> None:
    assert _shell(engine, image, f"command -v {' '.join(_COMPILERS)} || true") == ""
    for python in ("python", "/usr/local/bin/python3"):
        found = _shell(engine, image, f"{python} -c 'import importlib.util as u; print(u.find_spec(\"pip\"))'")
        assert found.strip() == "None"


def test_every_module_of_the_service_is_importable_without_what_was_left_out(engine: Engine, image: str) -> None:
    imported = _python(engine, image, _IMPORT_ALL).split()
    assert {"service.app", "service.web.server", "service.launchers.process", "handlers.slack.web"} <= set(imported)
    lacking = "import importlib.util as u; print([n for n in ('uv', 'aiohttp') if u.find_spec(n)])"
    assert _python(engine, image, lacking).strip() == "[]"


def test_all_bytecode_is_there_and_taken_without_a_look_at_its_source(engine: Engine, image: str) -> None:
    """A read-only root can keep none that is made later; and dates of files differ from node to node."""
    program = (
        "import pathlib, importlib.util as u\n"
        "sources = [p for p in pathlib.Path('/opt/mlrun-gitops').rglob('*.py')]\n"
        "compiled = {p: pathlib.Path(u.cache_from_source(p)) for p in sources}\n"
        "print(len(sources), [str(p) for p, c in compiled.items() if not c.exists()][:5],"
        " [str(c) for c in compiled.values() if c.exists() and c.read_bytes()[4:8] != b'\\x01\\0\\0\\0'][:5])"
    )
    count, rest = _python(engine, image, program).strip().split(" ", 1)
    assert int(count) > 2000
    assert rest == "[] []"


def test_what_a_start_imports_is_compiled_also_of_pythons_own_library(engine: Engine, image: str) -> None:
    program = (
        "import os, sys, urllib.request, service.app, service.cli.verbs\n"
        "cached = {m.__spec__.cached for m in list(sys.modules.values()) if getattr(m, '__spec__', None) and m.__spec__.cached}\n"
        "print(len(cached), sorted(path for path in cached if not os.path.exists(path))[:5])"
    )
    count, lacking = _python(engine, image, program).strip().split(" ", 1)
    assert int(count) > 500
    assert lacking == "[]"


def test_only_what_it_is_made_of_is_in_it(engine: Engine, image: str) -> None:
    found = set(_shell(engine, image, "cd /opt/mlrun-gitops && ls -A . app").split())
    assert found == {".:", "app", "venv", "app:", "service", "handlers"}
    with engine.mounted(image) as root:
        kept = [str(path) for path in (root / "opt/mlrun-gitops/venv/bin").iterdir() if not path.is_symlink()]
    assert [Path(path).name for path in kept] == ["mlrun-gitops"]


def test_no_secret_of_the_machine_that_built_it_is_in_its_history_or_its_settings(engine: Engine, image: str) -> None:
    history = engine.podman("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout
    told = history + json.dumps(engine.inspect(image)["Config"])
    assert "://" not in told.replace("http://127.0.0.1:{os.environ", "")
    assert not re.search(r"(?i)(token|password|secret|api_?key)\s*=", told)
    with engine.mounted(image) as root:
        for place in ("etc/pip.conf", "root/.config", "root/.netrc", "root/.cache", "root/.gitconfig", "root/.ssh"):
            path = root / place
            assert not path.exists() or (path.is_file() and not path.read_bytes()), place
        assert not [str(path) for path in (root / "tmp").iterdir()]


def test_it_stays_small(engine: Engine, image: str) -> None:
    assert engine.inspect(image)["Size"] - engine.inspect(PYTHON)["Size"] < _MOST_BYTES
