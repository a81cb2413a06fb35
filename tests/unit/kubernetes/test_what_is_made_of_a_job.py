"""Verdicts: from what the store knows and what the cluster shows to what is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from service.launchers import EndReason, JobKind
from service.launchers.kubernetes.verdict import Act, judge
from service.launchers.kubernetes.view import Seen
from service.store.jobs import PodJob
from tests.unit.kubernetes.test_what_a_pod_says import RUNS, UID, pod, terminated, waiting

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
CREATED = "2026-01-01T11:59:00Z"  # a minute ago
JOB_UID = "1111-1"


def row(**known: Any) -> PodJob:
    given = {"id": "x", "launcher": "kubernetes", "kind": JobKind.RUN, "repository": "ml", "commit": "a"}
    return PodJob(**{**given, "created_at": NOW - 60, "detail": "its Job was made", **known})


CLAIMED = {"claimer": UID, "claimed_at": NOW - 10}


def job(*conditions: tuple[str, str], timeout: str = "3600") -> dict[str, Any]:
    return {
        "metadata": {
            "name": "gitops-x",
            "uid": JOB_UID,
            "creationTimestamp": CREATED,
            "annotations": {"mlrun-gitops.io/timeout": timeout},
        },
        "status": {"conditions": [{"type": kind, "status": "True", "reason": reason} for kind, reason in conditions]},
    }


def owned(made: dict[str, Any], owner: str = JOB_UID, **metadata: Any) -> dict[str, Any]:
    return {**made, "metadata": {**made["metadata"], "ownerReferences": [{"uid": owner}], **metadata}}


def verdict(
    known: PodJob,
    seen: Seen,
    *,
    start_timeout_s: float = 900.0,
    looked: bool = False,
    lacking: str = "",
    **warnings: str,
):
    found = lacking if looked else None
    return judge(known, seen, warnings, now=NOW, start_timeout_s=start_timeout_s, lacking=found)


RUNNING = owned(pod(RUNS, ready=True, phase="Running"))


def test_a_run_that_runs_is_let_run():
    assert verdict(row(**CLAIMED), Seen(job=job(), pods=(RUNNING,))).act is Act.WAIT


def test_one_that_waits_says_for_what():
    seen = verdict(row(), Seen(job=job(), pods=(owned(waiting("ErrImagePull", "no")),)))
    assert (seen.act, seen.detail) == (Act.WAIT, "image reg/image:1 cannot be pulled: no")


def test_a_job_without_a_pod_says_what_the_events_say():
    seen = judge(row(), Seen(job=job()), {JOB_UID: "exceeded quota: pods"}, now=NOW, start_timeout_s=900)
    assert (seen.act, seen.detail) == (Act.WAIT, "it has no pod: exceeded quota: pods")


def test_time_is_up_also_for_a_pod_whose_job_was_removed_without_it():
    alone = owned(pod(RUNS, ready=True, phase="Running"), annotations={"mlrun-gitops.io/timeout": "5"})
    seen = verdict(row(**CLAIMED), Seen(pods=(alone,)))
    assert (seen.act, seen.reason) == (Act.STOP, EndReason.TIMED_OUT)


@pytest.mark.parametrize("pods", [(), (owned(waiting("ErrImagePull")),), (RUNNING,)])
def test_what_has_not_begun_in_time_is_stopped(pods):
    seen = verdict(row(), Seen(job=job(), pods=pods), start_timeout_s=59)
    assert (seen.act, seen.reason) == (Act.STOP, EndReason.NOT_STARTED)
    assert seen.detail


@pytest.mark.parametrize("created", ["2026-01-01T10:00:00Z", "2026-01-01T14:00:00Z"])
def test_whether_it_is_too_late_our_clock_says_and_not_the_clusters(created):
    there = job()
    there["metadata"]["creationTimestamp"] = created
    seen = Seen(job=there, pods=(RUNNING,))
    assert verdict(row(), seen, start_timeout_s=61).act is Act.WAIT
    assert verdict(row(), seen, start_timeout_s=59).act is Act.STOP


def test_what_has_begun_is_never_called_not_started():
    assert verdict(row(**CLAIMED), Seen(job=job(), pods=(RUNNING,)), start_timeout_s=1).act is Act.WAIT


def test_time_is_counted_from_the_claim():
    seen = verdict(row(**CLAIMED), Seen(job=job(timeout="11"), pods=(RUNNING,)))
    assert seen.act is Act.WAIT
    seen = verdict(row(**CLAIMED), Seen(job=job(timeout="9"), pods=(RUNNING,)))
    assert (seen.act, seen.reason) == (Act.STOP, EndReason.TIMED_OUT)


@pytest.mark.parametrize("pods", [(), (RUNNING,)])
def test_what_is_to_be_cancelled_is_stopped(pods):
    seen = verdict(row(cancel=EndReason.SUPERSEDED), Seen(job=job(), pods=pods))
    assert (seen.act, seen.reason) == (Act.STOP, EndReason.SUPERSEDED)


def test_an_end_that_was_asked_for_has_that_name():
    seen = verdict(row(**CLAIMED, cancel=EndReason.CANCELLED), Seen(job=job(), pods=(owned(terminated(143)),)))
    assert (seen.act, seen.reason, seen.exit_code, seen.detail) == (Act.END, EndReason.CANCELLED, 143, "")


def test_a_pod_that_ends_is_waited_for():
    seen = verdict(row(**CLAIMED, cancel=EndReason.CANCELLED), Seen(job=job(), pods=(RUNNING,), ending_s={UID: 3.0}))
    assert seen.act is Act.WAIT


def test_a_cancelled_pod_on_a_silent_node_is_not_waited_for_for_ever():
    seen = verdict(row(**CLAIMED, cancel=EndReason.CANCELLED), Seen(job=job(), pods=(RUNNING,), ending_s={UID: 99.0}))
    assert (seen.act, seen.reason) == (Act.END, EndReason.CANCELLED)


def test_the_clusters_own_deadline_is_a_timeout():
    failed = job(("Failed", "DeadlineExceeded"))
    seen = verdict(row(**CLAIMED), Seen(job=failed, gone=(owned(terminated(143)),)))
    assert (seen.act, seen.reason) == (Act.END, EndReason.TIMED_OUT)
    assert verdict(row(**CLAIMED), Seen(job=failed), looked=True).reason is EndReason.TIMED_OUT


def test_the_pod_that_claimed_counts_and_no_other():
    other = owned(terminated(0, "Completed"), uid="0000-2", name="gitops-x-other")
    seen = verdict(row(**CLAIMED), Seen(job=job(), pods=(RUNNING, other)))
    assert seen.act is Act.WAIT
    seen = verdict(row(**CLAIMED), Seen(job=job(), pods=(other,), gone=(RUNNING,)))
    assert (seen.act, seen.reason, seen.detail) == (Act.END, EndReason.DELETED, "pod gitops-x-abcde was deleted")


def test_pods_of_an_earlier_start_have_had_their_say():
    before = owned(terminated(1), owner="an earlier Job")
    seen = verdict(row(), Seen(job=job(), pods=(before,), gone=(before,)))
    assert (seen.act, seen.detail) == (Act.WAIT, "its pod is being made")


@pytest.mark.parametrize("known", [row(), row(**CLAIMED)])
def test_what_is_not_there_is_looked_for_before_anything_is_made_of_it(known):
    assert verdict(known, Seen()).act is Act.LOOK
    seen = verdict(known, Seen(), looked=True)
    assert (seen.act, seen.reason, seen.detail) == (Act.END, EndReason.DELETED, "Job gitops-x was deleted")


@pytest.mark.parametrize("known", [row(), row(**CLAIMED), row(cancel=EndReason.CANCELLED)])
def test_while_the_cluster_is_not_followed_nothing_is_missing(known):
    assert verdict(known, Seen(whole=False)).act is Act.WAIT


def test_a_pod_that_claimed_and_that_the_watch_has_not_seen_yet_is_looked_for():
    assert verdict(row(**CLAIMED), Seen(job=job())).act is Act.LOOK
    assert verdict(row(**CLAIMED), Seen(job=job()), looked=True).detail == "the pod of Job gitops-x was deleted"


def test_a_pod_that_is_deleted_before_it_began_is_made_again_by_its_job():
    seen = verdict(row(), Seen(job=job(), gone=(RUNNING,)))
    assert (seen.act, seen.detail) == (Act.WAIT, "its pod is being made")


def test_a_failed_job_without_a_pod_has_ended():
    failed = Seen(job=job(("Failed", "BackoffLimitExceeded")))
    assert verdict(row(), failed).act is Act.LOOK
    assert verdict(row(), failed, looked=True).reason is EndReason.DELETED


def test_a_missing_secret_ends_the_attempt_once_the_cluster_itself_has_none():
    seen = Seen(job=job(), pods=(owned(waiting("X", 'secret "gitops-x" not found')),))
    assert verdict(row(), seen).act is Act.LOOK
    ended = verdict(row(), seen, looked=True, lacking="Secret gitops-x")
    assert (ended.act, ended.reason, ended.detail) == (Act.END, EndReason.DELETED, "Secret gitops-x was deleted")
    assert verdict(row(), seen, looked=True).act is Act.WAIT  # it came meanwhile


def test_why_a_runner_left_before_it_began_is_said_and_what_a_run_did_is_its_own_word():
    seen = Seen(job=job(), pods=(owned(terminated(3, message="no such module")),))
    assert verdict(row(), seen).detail == "exit code 3: no such module"
    assert verdict(row(**CLAIMED), seen).detail == ""


def test_while_the_cluster_is_not_followed_nothing_is_late_and_no_node_is_lost():
    assert verdict(row(), Seen(job=job(), pods=(RUNNING,), whole=False), start_timeout_s=1).act is Act.WAIT
    ending = Seen(job=job(), pods=(RUNNING,), ending_s={UID: 999.0}, whole=False)
    assert verdict(row(**CLAIMED), ending).act is Act.WAIT
