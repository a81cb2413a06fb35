"""The control plane's programs, Kubernetes 1.20.2: made once a machine from Debian 12's own source package.

There is no binary package. They lie in a folder of the cache that is complete or absent.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

VERSION = "1.20.2"
FOLDER = Path("/var/cache/mlrun-gitops") / f"kubernetes-{VERSION}"
NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class Binaries:
    """Where the programs of a control plane are."""

    etcd: Path
    apiserver: Path
    controllers: Path
    scheduler: Path


def present() -> Binaries | None:
    """None where one is missing."""
    etcd, paths = shutil.which("etcd"), [FOLDER / name for name in NAMES]
    if etcd is None or not all(path.is_file() for path in paths):
        return None
    return Binaries(Path(etcd), *paths)
