"""The control plane's programs, Kubernetes 1.20.2: made once a machine from Debian 12's own source package (`build.sh`).

There is no binary package. They lie in a folder of the cache that is complete or absent.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

VERSION = "1.20.2"
FOLDER = Path("/var/cache/mlrun-gitops") / f"kubernetes-{VERSION}"

_NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_SCRIPT = Path(__file__).parent / "build.sh"
# Debian's packages by the programs that are needed of them: to run, and once to build.
_RUNNING = {"etcd": "etcd-server", "setpriv": "util-linux", "unshare": "util-linux"}
_BUILDING = {"go": "golang-go", "dpkg-source": "dpkg-dev"}


@dataclass(frozen=True)
class Binaries:
    """Where the programs of a control plane are."""

    etcd: Path
    apiserver: Path
    controllers: Path
    scheduler: Path


def present() -> Binaries | None:
    """None where one is missing."""
    etcd, paths = shutil.which("etcd"), [FOLDER / name for name in _NAMES]
    if etcd is None or not all(path.is_file() for path in paths):
        return None
    return Binaries(Path(etcd), *paths)


def lacking() -> str | None:
    """How to get what is missing here; None when a cluster can be started and pods can run."""
    built = all((FOLDER / name).is_file() for name in _NAMES)
    if absent := _absent(_RUNNING if built else _RUNNING | _BUILDING):
        return f"programs are missing; apt-get install --no-install-recommends {' '.join(absent)}, then make peers"
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        return "pods of the stand-in node need a user who may mount; run the tests as root"
    return None if built else f"no {', '.join(_NAMES)} in {FOLDER}; make peers builds them (5 minutes, once)"


def obtain() -> None:
    """Build what is not there, one process at a time. Does nothing where that can't be done; `lacking` says why."""
    if present() or os.geteuid() != 0 or _absent(_RUNNING | _BUILDING):
        return
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_name(f"{FOLDER.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if present():
            return
        work = Path(tempfile.mkdtemp(prefix=f"{FOLDER.name}.", dir=FOLDER.parent))
        try:
            # As text: bash reads a file as it goes, and this one may change under it.
            words = ["bash", "-c", _SCRIPT.read_text(), _SCRIPT.name, str(work)]
            done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL)
            if done.returncode == 0:
                shutil.rmtree(FOLDER, ignore_errors=True)
                (work / "bin").rename(FOLDER)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _absent(packages: dict[str, str]) -> list[str]:
    return [package for program, package in packages.items() if not shutil.which(program)]
