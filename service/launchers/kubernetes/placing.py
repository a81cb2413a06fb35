"""A job's objects in the cluster: made, adopted, taken away. Every step may be repeated, also by another service at the same time."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping

from service.errors import ClusterRefused, LaunchFailed
from service.launchers import Job
from service.launchers.kubernetes import manifests, names
from service.launchers.kubernetes.api import CONFLICT, Api
from service.launchers.kubernetes.connection import Json
from service.launchers.kubernetes.view import JOBS, View
from service.settings import Kubernetes

# The ConfigMap that every pod shares is looked for so often; one that was removed meanwhile is noticed by a pod.
_PROGRAM_LOOK_S = 300.0
_GONE_S = 15.0
_LOOK_S = 0.1


class Placing:
    """`told` makes what a job's Secret holds."""

    def __init__(
        self,
        settings: Kubernetes,
        api: Callable[[], Api],
        view: View,
        told: Callable[[str], Mapping[str, str]],
        program: bytes,
    ) -> None:
        self._settings = settings
        self._api = api
        self._view = view
        self._told = told
        self._program = program
        self.digest = hashlib.sha256(self._program).hexdigest()
        self._program_at = float("-inf")
        self._lock = threading.Lock()

    def place(self, job: Job) -> None:
        """ConfigMap, Job, and the Job's Secret, with which it goes. Raises LauncherError.

        In this order no Secret is ever without an owner, and a pod is on its way a request earlier: it waits for its Secret, as for
        its image, and is still being placed when that is there.
        """
        api = self._api()
        try:
            self._ensure_program(api)
            told = self._told(job.id)  # what can go wrong here does before there is anything
            made = self._ensure_job(api, job)
            self._view.put(JOBS, made)
            self._ensure_secret(api, job, told, made)
        except ClusterRefused as error:
            raise _refused(api, error) from error

    def look_again(self) -> None:
        """Somebody removes things: the next start looks whether what all pods share is there."""
        self._program_at = float("-inf")

    def clear(self, job_id: str, is_over: Callable[[], bool]) -> None:
        """What an attempt left that ended before it began: gone when this returns, pods and all. Raises LauncherError.

        The Secret, too: one of the Job that goes would be removed with it, and be missing to the next pod. Once `is_over` says no,
        somebody else began the job anew, and what is there is theirs: so it is asked after each look, and what was seen is removed by uid.
        """
        api = self._api()
        pods = f"{names.selector(self._settings.instance)},{names.JOB}={names.job_label(job_id)}"
        self.look_again()
        deadline = time.monotonic() + _GONE_S
        while True:
            job, secret = self._ours(api, "jobs", job_id), self._ours(api, "secrets", job_id)
            left, _ = api.list("pods", labelSelector=pods)
            if not is_over():
                return
            if job is None and not left:
                self._delete(api, "secrets", secret)
                self._view.forget(job_id)
                return
            self._delete(api, "jobs", job)
            for pod in left:
                # Nobody claimed, so nothing is lost; a node that is gone would never say that it has ended.
                self._delete(api, "pods", pod, grace_s=0)
            if time.monotonic() > deadline:
                raise LaunchFailed(f"what an earlier start of job {job_id} left in the cluster does not go")
            time.sleep(_LOOK_S)

    def remove(self, job_id: str) -> None:
        """The Job, and its pod with the time to end that a pod has; a pod without its Job too. Raises LauncherError."""
        api = self._api()
        if self._ours(api, "jobs", job_id) is not None:
            api.delete("jobs", names.job_name(job_id), propagation="Foreground")
            return
        for pod in self._view.of(job_id).pods:
            api.delete("pods", pod["metadata"]["name"])

    def let_go(self, job_id: str, is_over: Callable[[], bool], *, keep: bool) -> None:
        """After the end is recorded: the Secret goes, and the Job at once or after the time it is kept; unless somebody began the job
        anew, as in `clear`. Raises LauncherError."""
        api, seconds = self._api(), int(self._settings.keep)
        job, secret = self._ours(api, "jobs", job_id), self._ours(api, "secrets", job_id)
        if not is_over():
            return
        if job is not None and keep and seconds:
            api.patch("jobs", names.job_name(job_id), {"spec": {"ttlSecondsAfterFinished": seconds}})
        else:
            self._delete(api, "jobs", job)
        self._delete(api, "secrets", secret)

    def look(self, job_id: str) -> str:
        """Put into the view what the cluster has of the job now. What of ours its pods need and is not there. Raises LauncherError."""
        api = self._api()
        if (job := self._ours(api, "jobs", job_id)) is not None:
            self._view.put(JOBS, job)
        selector = f"{names.selector(self._settings.instance)},{names.JOB}={names.job_label(job_id)}"
        lacking = "" if job is None or self._ours(api, "secrets", job_id) else f"Secret {names.job_name(job_id)}"
        for pod in api.list("pods", labelSelector=selector)[0]:
            self._view.put("pods", pod)
            for program in _programs(pod):
                lacking = lacking if api.get("configmaps", program) else f"ConfigMap {program}"
        return lacking

    def _delete(self, api: Api, kind: str, thing: Json | None, grace_s: int | None = None) -> None:
        """This very one, and none of its name that came after it."""
        if thing is not None:
            api.delete(kind, thing["metadata"]["name"], grace_s=grace_s, uid=thing["metadata"]["uid"])

    def _ours(self, api: Api, kind: str, job_id: str) -> Json | None:
        """The job's Job or Secret."""
        found = api.get(kind, names.job_name(job_id))
        return found if found is not None and names.is_of(found, self._settings.instance, job_id) else None

    def _ensure_program(self, api: Api) -> None:
        with self._lock:
            if time.monotonic() < self._program_at + _PROGRAM_LOOK_S:
                return
            manifest = manifests.config_map(self._settings, api.namespace, self.digest, self._program)
            name = names.program_name(self.digest)
            known = api.get("configmaps", name) or api.create("configmaps", manifest) or api.get("configmaps", name)
            if known is None or known.get("binaryData") != manifest["binaryData"] or not known.get("immutable"):
                raise _foreign("ConfigMap", name)
            self._program_at = time.monotonic()

    def _ensure_secret(self, api: Api, job: Job, told: Mapping[str, str], owner: Json) -> None:
        manifest = manifests.secret(self._settings, api.namespace, job, told, owner)
        if api.create("secrets", manifest) is not None:
            return
        name = names.job_name(job.id)
        known = api.get("secrets", name)
        if known is not None and not names.is_of(known, self._settings.instance, job.id):
            raise _foreign("Secret", name)
        mended = {"data": manifest["data"], "metadata": {"ownerReferences": manifest["metadata"]["ownerReferences"]}}
        if known is None or api.patch("secrets", name, mended) is None:
            raise LaunchFailed(f"Secret {name} is being removed")  # by an earlier Job that goes

    def _ensure_job(self, api: Api, job: Job) -> Json:
        manifest = manifests.job(self._settings, api.namespace, job, names.program_name(self.digest))
        made = api.create("jobs", manifest)
        if made is not None:
            return made
        name = names.job_name(job.id)
        known = api.get("jobs", name)
        if known is not None and not names.is_of(known, self._settings.instance, job.id):
            raise _foreign("Job", name)
        if known is None or known["metadata"].get("deletionTimestamp"):
            raise LaunchFailed(f"Job {name} is being removed")
        return known


def _programs(pod: Json) -> list[str]:
    """The ConfigMap that holds what it runs."""
    named = [(volume.get("configMap") or {}).get("name", "") for volume in pod["spec"].get("volumes", ())]
    return [name for name in named if name.startswith(names.program_name(""))]


def _refused(api: Api, error: ClusterRefused) -> LaunchFailed:
    """A refusal that may pass (a quota, a namespace that goes) is tried again."""
    mends = {
        403: f"give the service's account the rights of the operator's guide in namespace {api.namespace}, and look at its quota",
        404: f"make the namespace {api.namespace}, or set launcher.kubernetes.namespace",
        422: "mend launcher.kubernetes, or `runner` in .gitops.yaml",
        400: "mend launcher.kubernetes, or `runner` in .gitops.yaml",
    }
    failure = LaunchFailed(error.what, mend=mends.get(error.answer, ""))
    failure.retry = error.answer in (403, 404, CONFLICT)
    return failure


def _foreign(kind: str, name: str) -> LaunchFailed:
    failure = LaunchFailed(
        f"{kind} {name} is there and is not ours", mend="remove it, or set launcher.kubernetes.instance to another name"
    )
    failure.retry = False
    return failure
