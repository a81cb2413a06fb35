"""A release with everything around it: a forge whose repositories are private, somebody who is notified, a cluster that runs pods."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.cluster.gate import Gate
from tests.e2e.cluster.release import Release
from tests.e2e.stage import Team
from tests.integration.chart.cluster import present
from tests.integration.chart.helm import Document
from tests.peers.git_http import GitServer
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.recorder import Recorder

NAMES = tuple(f"team-{number}" for number in range(8))


class ClusterScene:
    """What `Team` wants of a scene; `values` are those that it is installed with, `before` what was in the cluster then."""

    def __init__(self, folder: Path, forge: GitServer, recorder: Recorder, gate: Gate, service: Release) -> None:
        self.folder, self.forge, self.recorder, self.gate, self.service = folder, forge, recorder, gate, service
        self.values: Document = service.values(forge, NAMES)
        self.before: set[tuple[str, str, str]] = set()
        self._names = iter(NAMES)

    def team(self) -> Team:
        """A new team with an empty repository."""
        name = next(self._names)
        return Team(self, name, self.forge.repositories[name])


@contextmanager
def scene(cluster: Cluster, kubelet: Kubelet, image: str) -> Iterator[ClusterScene]:
    """Installed and ready; afterwards everything that it was is gone."""
    folder = Path(tempfile.mkdtemp(prefix="gitops-release-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        namespace = stack.enter_context(cluster.namespace("ops"))
        forge = GitServer(folder / "forge")
        forge.start()
        stack.callback(forge.stop)
        for name in NAMES:
            forge.create(name, private=True)
        recorder, gate = stack.enter_context(Recorder()), stack.enter_context(Gate())
        service = Release(cluster, kubelet, namespace, image, folder)
        stack.callback(service.http.close)
        made = ClusterScene(folder, forge, recorder, gate, service)
        cluster.apply(*service.secrets(forge, recorder))
        stack.enter_context(service.volume())
        made.before = set(present(cluster.api, namespace, service.runners))
        stack.callback(service.remove)
        service.install(made.values)
        yield made
