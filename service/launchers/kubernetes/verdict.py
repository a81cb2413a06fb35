"""What is to be made of a job, from what the store knows and what the cluster shows. Pure.

The pod's state is the truth: how it ended, or what it waits for, is read there (`pods.py`). What is only *not there* is looked
for once more before anything is made of it, since a watch may be late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from service.launchers import EndReason
from service.launchers.kubernetes import names, pods
from service.launchers.kubernetes.pods import Ending
from service.launchers.kubernetes.view import Json, Seen
from service.store.jobs import PodJob

_TOO_LONG = "it took longer than its timeout"


class Act(StrEnum):
    WAIT = "wait"
    LOOK = "look"  # ask the cluster itself, then judge again
    STOP = "stop"  # have it end: refuse its claim, remove its Job
    END = "end"  # it has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`detail`: what the job waits for, or how it ended. `pod` is the one that counts, whose log is the job's;
    `silent`: its node does not answer any more, and gives no log either."""

    act: Act
    reason: EndReason | None = None
    exit_code: int | None = None
    detail: str = ""
    pod: Json | None = None
    silent: bool = False


def judge(
    row: PodJob,
    seen: Seen,
    warnings: Mapping[str, str],
    *,
    now: float,
    start_timeout_s: float,
    lacking: str | None = None,
) -> Verdict:
    """`warnings`: what the cluster's events say of objects, by uid. `lacking`: what of ours is not there, where the cluster itself was
    asked just now."""
    looked = lacking is not None
    if not row.claimer and seen.job is None and not looked:
        return Verdict(act=Act.LOOK if seen.whole else Act.WAIT, detail=row.detail)
    pod = _that_counts(row, seen)
    if pod is not None and (ending := pods.ending(pod)) is not None:
        return _ended(row, seen, pod, ending)
    if pod is not None and pod in seen.pods:
        return _with_pod(row, seen, pod, warnings, now=now, start_timeout_s=start_timeout_s, lacking=lacking)
    if pod is not None and row.claimer:
        return _ended(row, seen, pod, pods.removal(pod))
    return _without_pod(row, seen, warnings, now=now, start_timeout_s=start_timeout_s, looked=looked)


def _that_counts(row: PodJob, seen: Seen) -> Json | None:
    """The pod that claimed the job; before that the newest there is, or was, of the Job as it is: an older one's have had their say."""
    known = (*seen.gone, *seen.pods)
    if row.claimer:
        whose = row.claimer.partition("_")[0]  # the pod, and which process of it
        return next((pod for pod in known if pod["metadata"]["uid"] == whose), None)
    current = [pod for pod in known if seen.job is None or _is_of(pod, seen.job)]
    return current[-1] if current else None


def _is_of(pod: Json, job: Json) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == job["metadata"]["uid"] for owner in owners)


def _with_pod(
    row: PodJob,
    seen: Seen,
    pod: Json,
    warnings: Mapping[str, str],
    *,
    now: float,
    start_timeout_s: float,
    lacking: str | None,
) -> Verdict:
    """It is there and has not ended."""
    if (ending_s := seen.ending_s.get(pod["metadata"]["uid"])) is not None:
        if seen.whole and (lost := pods.lost(pod, ending_s)):
            return replace(_ended(row, seen, pod, lost), silent=True)
        return Verdict(act=Act.WAIT, detail=row.detail, pod=pod)
    if row.cancel is not None:
        return Verdict(act=Act.STOP, reason=row.cancel, detail=row.detail, pod=pod)
    if row.claimed_at is not None:
        if now > row.claimed_at + _timeout_s(seen.job or pod):
            return Verdict(act=Act.STOP, reason=EndReason.TIMED_OUT, detail=_TOO_LONG, pod=pod)
        return Verdict(act=Act.WAIT, pod=pod)
    if pods.misses(pod, warnings) and lacking != "":  # it may have come since
        if lacking is None:
            return Verdict(act=Act.LOOK if seen.whole else Act.WAIT, detail=row.detail, pod=pod)
        return Verdict(act=Act.END, reason=EndReason.DELETED, detail=f"{lacking} was deleted")
    waits = pods.waits(pod, warnings)
    if waits.hopeless or _too_late(row, seen, now, start_timeout_s):
        return Verdict(act=Act.STOP, reason=EndReason.NOT_STARTED, detail=waits.detail, pod=pod)
    return Verdict(act=Act.WAIT, detail=waits.detail, pod=pod)


def _without_pod(
    row: PodJob, seen: Seen, warnings: Mapping[str, str], *, now: float, start_timeout_s: float, looked: bool
) -> Verdict:
    name = names.job_name(row.id)
    if seen.job is None or row.claimer or _condition(seen.job, "Failed") or _condition(seen.job, "Complete"):
        if not looked:
            return Verdict(act=Act.LOOK if seen.whole else Act.WAIT, detail=row.detail)
        if row.cancel is not None:
            return Verdict(act=Act.END, reason=row.cancel, detail=_asked_for(row, row.cancel))
        if _is_past_deadline(seen.job):
            return Verdict(act=Act.END, reason=EndReason.TIMED_OUT, detail=_TOO_LONG)
        what = f"Job {name} was deleted" if seen.job is None else f"the pod of Job {name} was deleted"
        return Verdict(act=Act.END, reason=EndReason.DELETED, detail=what)
    if row.cancel is not None:
        return Verdict(act=Act.STOP, reason=row.cancel, detail=row.detail)
    said = warnings.get(seen.job["metadata"]["uid"])
    detail = f"it has no pod: {pods.short(said)}" if said else "its pod is being made"
    if _too_late(row, seen, now, start_timeout_s):
        return Verdict(act=Act.STOP, reason=EndReason.NOT_STARTED, detail=detail)
    return Verdict(act=Act.WAIT, detail=detail)


def _ended(row: PodJob, seen: Seen, pod: Json, ending: Ending) -> Verdict:
    """Who asked for an end gets it under that name, whatever a pod says that was told to end."""
    reason = ending.reason
    if row.cancel is not None:
        reason = row.cancel
    elif _is_past_deadline(seen.job) and ending.exit_code != 0:
        reason = EndReason.TIMED_OUT
    there = pod if pod in seen.pods else None
    detail = _asked_for(row, reason) if reason is not ending.reason else ending.detail
    if row.claimer and reason is EndReason.EXITED:
        detail = ""  # what happened in a run, its events and its log say
    return Verdict(act=Act.END, reason=reason, exit_code=ending.exit_code, detail=detail, pod=there)


def _asked_for(row: PodJob, reason: EndReason) -> str:
    if reason is EndReason.TIMED_OUT:
        return _TOO_LONG
    return row.detail if reason is EndReason.NOT_STARTED else ""


def _timeout_s(thing: Json) -> float:
    """Of a Job, and of a pod whose Job was removed without it: the cluster's own deadline went with that."""
    given = (thing["metadata"].get("annotations") or {}).get(names.TIMEOUT)
    try:
        return float(given) if given is not None else float("inf")
    except ValueError:
        return float("inf")


def _too_late(row: PodJob, seen: Seen, now: float, start_timeout_s: float) -> bool:
    """By our clock alone, whatever the cluster's says. While the cluster is not followed, nothing is late: pods do not begin without its
    API server either."""
    return seen.whole and now > row.created_at + start_timeout_s


def _is_past_deadline(job: Json | None) -> bool:
    failed = _condition(job, "Failed")
    return failed is not None and failed.get("reason") == "DeadlineExceeded"


def _condition(job: Json | None, kind: str) -> Mapping[str, Any] | None:
    found = ((job or {}).get("status") or {}).get("conditions") or ()
    return next((one for one in found if one.get("type") == kind and one.get("status") == "True"), None)
