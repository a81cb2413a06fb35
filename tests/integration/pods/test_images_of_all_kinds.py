"""The companion and the real runner in containers of the look-alikes, locked down as a pod of ours is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from service.launchers import EndReason, JobKind
from service.launchers.document import needs_of
from service.launchers.pack import pack
from service.store import jobs
from tests.integration.pods.project import files
from tests.peers.containers import Engine
from tests.peers.containers import engine as the_engine
from tests.peers.containers.engine import Container
from tests.peers.containers.lookalikes import PLAIN, VARIANTS, VERSION, ensure_mlrun_kfp
from tests.peers.pod import Callee

__all__ = ["files"]

pytestmark = [
    pytest.mark.container,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]  # the first image is made, from packages

# Of nobody in any image.
USER = "54321:54321"
PLACES = {"HOME": "/gitops/home", "TMPDIR": "/gitops/tmp"}
PROJECT = {"path": ".", "name": None, "repository_name": "fraud", "source": "git://git.example.com/ml/fraud.git"}


@pytest.fixture(scope="session")
def engine() -> Engine:
    return the_engine()


def pod(engine: Engine, ground: Path, callee: Callee, image: str, program: Path, *options: str) -> Container:
    """As the launcher's manifests have it: a program, a secret, three folders, and nothing else to write to."""
    secret = callee.secret(ground / "secret")
    folders = [
        f"--mount=type=tmpfs,destination={place},tmpfs-mode=1777" for place in ("/gitops/work", *PLACES.values())
    ]
    return Container(
        engine,
        image,
        ["/gitops/runner.pyz", "--pod", "/gitops/job"],
        [
            "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--user", USER, "--entrypoint", "python", "--workdir", "/gitops/work", *folders,
            "-v", f"{program}:/gitops/runner.pyz:ro", "-v", f"{secret}:/gitops/job:ro",
            *options,
        ],
    )  # fmt: skip


def environment(**variables: str) -> list[str]:
    return [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]


@pytest.mark.parametrize("variant", [PLAIN, *VARIANTS], ids=lambda variant: variant or "plain")
def test_a_project_is_loaded_in_each(engine: Engine, ground: Path, callee: Callee, variant: str) -> None:
    callee.add(
        kind=JobKind.LOAD,
        needs=needs_of(VERSION),
        payload={"project": PROJECT, "setup_parameters": {}, "check": None},
    )
    image = ensure_mlrun_kfp(engine, variant)
    with pod(engine, ground, callee, image, pack(ground), *environment(**PLACES)) as container:
        ended = container.wait(check=False, timeout_s=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert callee.events()[-1] == "finished"
    with callee.store.read() as conn:
        found: dict[str, Any] = json.loads(jobs.result(conn, "one") or b"{}")
    assert found["checks"] == {"main": "compiled"}
    assert callee.lines()[0]["mlrun"] == VERSION


def test_an_image_whose_home_is_not_its_users_is_refused_with_what_was_found(
    engine: Engine, ground: Path, callee: Callee
) -> None:
    callee.add(needs=needs_of("1.12.1"))
    with pod(engine, ground, callee, ensure_mlrun_kfp(engine, "home-root"), pack(ground)) as container:
        ended = container.wait(check=False)
    assert ended.returncode == 3
    job = callee.job()
    assert job.ended is EndReason.INCOMPATIBLE
    for words in ("Python 3.9.", "3.11 needed", f"mlrun {VERSION} found, 1.12 needed", "HOME=/ is not writable ("):
        assert words in job.detail


def test_memory_that_was_not_there_is_named(
    engine: Engine, ground: Path, callee: Callee, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ground)  # where conmon leaves a file that says so
    callee.add(script="emit('began')\nheld = []\nwhile True: held.append(bytearray(1 << 20))\n")
    program = Path(shutil.copy(program, ground))
    options = [*environment(**PLACES), "--memory", "128m", "--memory-swap", "128m"]
    with pod(engine, ground, callee, ensure_mlrun_kfp(engine), program, *options) as container:
        ended = container.wait(check=False)
    assert ended.returncode == 137
    assert "the runner was killed (signal 9): it took more memory than the pod may have (128 MiB)" in ended.stderr
    assert callee.events() == ["claimed", "began"]
