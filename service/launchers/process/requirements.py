"""A project's own requirements: a layer over the runner environment, held to the versions of its lock.

The layer is a venv on the same interpreter that holds only what the file asks for and sees the runner environment
behind it. It is installed by the runner's user, for whoever can push wrote the file, from wheels alone, and then belongs
to the service's user, so that no job can change what another one imports.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from service import limits
from service.errors import RunnerEnvironmentError
from service.launchers.process.environment import RunnerEnvironment, build_once, key_of, lock_of, root_of
from service.launchers.process.packages import Progress, of_runner
from service.launchers.process.places import hand_over
from service.settings import Settings

# A layer is shared by all jobs with the same file, so nothing in it may name another file.
_ELSEWHERE = re.compile(r"^\s*(-r|-c|-e|--requirement|--constraint|--editable|[./~])|(^|@)\s*file:", re.IGNORECASE)
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*==[^\s;\\]+)", re.MULTILINE)


def ensure_layer(
    settings: Settings, base: RunnerEnvironment, source: Path, name: str, progress: Progress
) -> RunnerEnvironment:
    """The environment of `base` with the requirements in the file `name` of `source`. Raises RunnerEnvironmentError."""
    text = _read(source, name)
    key = key_of(base.key.encode(), text)
    root = root_of(settings, f"{base.mlrun_version}-{base.key}-with-{key}")
    layer = RunnerEnvironment(root / "bin" / "python", key, base.mlrun_version)
    build_once(layer, progress, lambda: _build(settings, base, layer, text, name, progress))
    return layer


def _read(source: Path, name: str) -> bytes:
    path = (source / name).resolve()
    mend = "Correct runner.requirements_file in .gitops.yaml, or push the file"
    if not path.is_relative_to(source.resolve()) or not path.is_file():
        raise RunnerEnvironmentError(f"the commit has no requirements file {name!r}", mend=mend)
    text = path.read_bytes()
    if len(text) > limits.REPOSITORY_FILE_BYTES:
        raise RunnerEnvironmentError(f"{name} is larger than {limits.REPOSITORY_FILE_BYTES} bytes", mend=mend)
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        if _ELSEWHERE.search(line):
            raise RunnerEnvironmentError(
                f"{name}, line {number}: {line.strip()[:100]!r} names a file",
                mend="Name packages of the index only; the project's own modules are importable anyway",
            )
    return text


def _build(
    settings: Settings, base: RunnerEnvironment, layer: RunnerEnvironment, text: bytes, name: str, progress: Progress
) -> None:
    progress(f"installing {name} over the runner environment of MLRun {base.mlrun_version}")
    layer.root.mkdir(mode=0o755)
    with tempfile.TemporaryDirectory(dir=layer.root.parent) as work:
        uv = of_runner(settings, Path(work), progress)
        asked, pinned = Path(work, "requirements.txt"), Path(work, "constraints.txt")
        asked.write_bytes(text)
        pinned.write_text("\n".join(_PINNED.findall(lock_of(base.mlrun_version).read_text("utf-8"))), "utf-8")
        hand_over(Path(work), uv.user)
        hand_over(layer.root, uv.user)
        uv.run("venv", "--no-project", "--allow-existing", "--python", str(base.python), str(layer.root))
        uv.run(
            *("pip", "install", "--no-build", "--no-cache", "--link-mode", "copy", "--compile-bytecode"),
            *("--python", str(layer.python), "-r", str(asked), "-c", str(pinned)),
            mend=f"Mend {name} in the repository: its packages must come as wheels and agree with the versions of "
            f"MLRun {base.mlrun_version}'s runner environment",
        )
    hand_over(layer.root, os.geteuid())
    (packages,) = layer.root.glob("lib/python*/site-packages")
    (behind,) = base.root.glob("lib/python*/site-packages")
    (packages / "mlrun_gitops_base.pth").write_text(f"import site; site.addsitedir({str(behind)!r})\n", "utf-8")
