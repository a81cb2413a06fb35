"""The stage of the figures about pods: a control plane and a node of our own, a forge, and a service that runs its jobs there.

Repositories are prepared: their commits are in the forge before anything is measured, and a push is a ref that moves on and a signed
webhook, which costs the machine next to nothing. When Jobs were made is heard from a watch of our own.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from service.errors import ClusterAway
from service.launchers.kubernetes import names
from service.launchers.kubernetes.api import Api
from service.settings import Kubernetes
from tests.bench import shadow
from tests.bench.figure import NotProven
from tests.bench.pushing import Site, ended_run
from tests.peers.forge import deliver, push_payload, signed
from tests.peers.git_http import GitRepository
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.kubernetes.account import NAME, make_account
from tests.peers.kubernetes.meddler import Meddler
from tests.peers.kubernetes.mlrun_images import mlrun_images
from tests.peers.service_process import ServiceProcess, wait_for

PATIENCE_S = 300.0


class ClusterSite:
    """`with` starts it all. Jobs of all services are heard of, in `made` by their label."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = Site(folder)
        self._stack = ExitStack()
        self.made: dict[str, float] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.cluster = stack.enter_context(Cluster())
            self._images = self.folder / "shadow"
            self._shadow = shadow.shadow_image(self._images)
            self.kubelet = stack.enter_context(Kubelet(self.cluster, images=mlrun_images()))
            self.namespace = stack.enter_context(self.cluster.namespace("bench"))
            self._token = make_account(self.cluster, self.namespace)
            self.meddler = stack.enter_context(Meddler(self.cluster))
            stack.enter_context(self.site)
            self.api = self._api()
            stack.callback(self._stop)
            threading.Thread(target=self._watch, daemon=True).start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def only_shadows(self) -> None:
        """From now on the runner's images hold a shadow of it."""
        self.kubelet.know(dict.fromkeys(mlrun_images(), self._shadow))

    def service(self, *projects: str, **kubernetes: Any) -> ServiceProcess:
        """One at a time. It reaches the cluster through the proxy that counts, where `counted`."""
        counted = kubernetes.pop("counted", False)
        given = {
            "kubeconfig": str(self._kubeconfig(counted=counted)),
            "namespace": self.namespace,
            "resources": {},
            **kubernetes,
        }
        return self.site.service(*projects, kind="kubernetes", concurrency=1000, load_timeout="5m", kubernetes=given)

    def prepared(self, service: ServiceProcess, project: str, pushes: int, **result: Any) -> Prepared:
        shadow.lay_out_result(self._images, project, **{"workflows": ["main"], "nap": 0, **result})
        return Prepared(self.site, service, project, pushes)

    def job_made(self, job: str) -> float:
        """When. Raises NotProven."""
        label = names.job_label(job)
        self.wait(lambda: label in self.made, f"the Job of {job}")
        return self.made[label]

    def wait(self, true: Any, what: str) -> None:
        try:
            wait_for(true, PATIENCE_S, what)
        except AssertionError as error:
            raise NotProven(f"{error}\n{self.site.services[-1].tail() if self.site.services else ''}") from error

    def _kubeconfig(self, *, counted: bool) -> Path:
        if counted:
            return self.meddler.kubeconfig(self.folder / "counted.kubeconfig", self._token, self.namespace)
        return self.cluster.service_account_kubeconfig(self.namespace, NAME)

    def _api(self) -> Api:
        """The very client that the service uses."""
        return Api(Kubernetes(kubeconfig=self._kubeconfig(counted=False), namespace=self.namespace))

    def _watch(self) -> None:
        ours = f"{names.MANAGED_BY}={names.MANAGER}"
        with (
            suppress(ClusterAway),  # as it is cut off in the end; who waits for a Job in vain says so
            self.api.watch("jobs", last_s=3600, patience_s=3600.0, labelSelector=ours) as stream,
        ):
            self._stream = stream
            for event in stream.events():
                now, labels = time.time(), event["object"]["metadata"]["labels"]
                if event["type"] == "ADDED":
                    self.made.setdefault(labels[names.JOB], now)

    def _stop(self) -> None:
        self._stream.stop()
        self.api.close()


class Prepared:
    """A repository whose next pushes lie ready; two trees take turns, whose configuration is the same."""

    def __init__(self, site: Site, service: ServiceProcess, project: str, pushes: int) -> None:
        self.project, self.service = project, service
        self.repository: GitRepository = site.forge.repositories[project]
        work = self.repository.clone(site.folder / "prepared" / project)
        self._commits = [work.commit(shadow.project_files(project, n % 2), f"Push {n}") for n in range(pushes)]
        # Behind the server's back, so that nobody hears of it.
        self.repository.git("fetch", "--quiet", str(work.path), "HEAD:refs/prepared/all")
        self._next = 0

    def push(self) -> tuple[str, float]:
        """The commit that is the tip now, and when its webhook left. Raises NotProven."""
        commit = self._commits[self._next]
        before = self._commits[self._next - 1] if self._next else None
        self._next += 1
        ref = self.repository.path / "refs/heads/main"
        ref.parent.mkdir(parents=True, exist_ok=True)
        fresh = ref.with_suffix(".lock")
        fresh.write_text(f"{commit}\n")
        fresh.rename(ref)
        body, headers = signed(push_payload(f"ada/{self.project}", before, commit))
        at = time.time()
        answer = deliver(self.service.http, self.project, body, headers)
        if answer is None or answer.status_code != 202:
            raise NotProven(f"the webhook of {self.project} was answered {answer and answer.status_code}")
        return commit, at

    def ended_run(self, commit: str) -> tuple[Any, Any]:
        """The sync of a commit and its run, which has succeeded. Raises NotProven."""
        return ended_run(self.service, self.project, commit)
