"""Jobs as pods of a real control plane: what the service adds to a bare create, whether it keeps up, and what sleeping runs cost.

Where the runner itself is not what is measured, pods run a shadow of it (`shadow.py`), which asks, claims and tells as it does.
"""

from __future__ import annotations

import copy
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

from service.launchers.kubernetes import names
from tests.bench.cluster_site import ClusterSite, Prepared
from tests.bench.figure import Bench, Figure, NotProven, in_turn
from tests.bench.pushing import at, ended_run
from tests.peers.service_process import ServiceProcess

_RATE = 10.0
# Pushes that are sent later than this are no longer so many a second.
_LATE = 1.3
# A watch begins anew so often (service/launchers/kubernetes/watch.py); what is counted lasts a few of these.
_WATCH_S = 25
_OURS = "app.kubernetes.io/managed-by"


def measure(bench: Bench) -> Sequence[Figure]:
    with ClusterSite(bench.folder) as site:
        figures = _first_words(bench, site)
        site.only_shadows()
        return [*figures, *_overhead(bench, site), *_queue(bench, site), *_sleepers(bench, site)]


# The first word of a pod, with the real runner.


def _first_words(bench: Bench, site: ClusterSite) -> list[Figure]:
    bench.say("a service starts whose pods run the real runner")
    stamps = {"name": "stamps", "hostPath": {"path": str(site.site.stamps)}}
    mount = {"name": "stamps", "mountPath": str(site.site.stamps)}
    service = site.service("words", instance="words", volumes=[stamps], volume_mounts=[mount])
    team = site.site.team("words")
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(bench.size(3, 1)):
        bench.say(f"a push with the real runner, {number + 1}")
        commit = team.configure(f"words-{number}")
        team.push()
        sync, run = ended_run(service, "words", commit)
        (load,) = [job for job in site.made if job.startswith(f"load-{sync['id']}")]
        events = {e["event"]: at(e["at"]) for e in service.get(f"/runs/{run['id']}/events")["items"]}
        made = site.job_made(run["id"])
        found["load: from its Job made to the project loaded"].append(
            at(sync["started_at"]) + sync["timings"]["diff"] + sync["timings"]["load"] - site.made[load]
        )
        found["run: from its Job made to its first word"].append(events["claimed"] - made)
        found["run: from its Job made to the first step's first line"].append(team.stamped(f"words-{number}") - made)
    service.close()
    return [Figure.absolute(name, values, "s") for name, values in found.items()]


# From the webhook to the Job.


def _overhead(bench: Bench, site: ClusterSite) -> list[Figure]:
    bench.say("a service starts whose pods run shadows")
    rounds = bench.size(30, 2)
    service = site.service("single", instance="single")
    pushes = _Single(site, site.prepared(service, "single", rounds + 3))
    for _ in range(3):  # the first loads, and what is imported on first use
        pushes.push()
    pushes.stages.clear()
    pushes.calm()
    turns: dict[str, Callable[[], float]] = {"push": pushes.push, "create": pushes.create}
    found = in_turn(rounds, turns, bench.say)
    service.close()
    name = "webhook to Job made without the fetch, against a bare create"
    return [
        Figure.paired(name, [s * 1000 for s in found["push"]], [s * 1000 for s in found["create"]], "ms"),
        *[Figure.absolute(f"· {name}", values, "ms") for name, values in pushes.stages.items()],
    ]


class _Single:
    """One repository, one push a second, each run ended before the next."""

    def __init__(self, site: ClusterSite, prepared: Prepared) -> None:
        self.stages: dict[str, list[float]] = defaultdict(list)
        self._site, self._prepared = site, prepared
        self._last: Any = None
        self._creates = 0
        self._due = time.monotonic()

    def push(self) -> float:
        """Seconds from the webhook to the Job, without those of the fetch."""
        self.calm()
        fetches = self._fetching()
        before = len(self._site.made)
        commit, sent = self._prepared.push()
        self._site.wait(lambda: len(self._site.made) > before, "a Job")  # nobody asks the service anything meanwhile
        sync, run = self._prepared.ended_run(commit)
        made = self._site.job_made(run["id"])
        fetching = self._fetching() - fetches
        began, spent = at(sync["started_at"]), sync["timings"]
        diffed, loaded = began + spent["diff"], began + spent["diff"] + spent["load"]
        marks = {
            "webhook sent": sent,
            "fetched, sync queued": at(sync["created_at"]),
            "sync began": began,
            "changes read": diffed,
            "load found": loaded,
            "revision saved, run queued": at(sync["ended_at"]),
            "Job made": made,
        }
        for (_, before), (name, after) in pairwise(marks.items()):
            self.stages[name].append((after - before) * 1000)
        self.stages["in these: the step that fetches"].append(fetching * 1000)
        self._last = self._site.api.get("jobs", names.job_name(run["id"]))
        return made - sent - fetching

    def create(self) -> float:
        """Seconds of a bare create of the same manifest by the same client."""
        self.calm()
        manifest = self._manifest()
        began = time.perf_counter()
        made = self._site.api.create("jobs", manifest)
        took = time.perf_counter() - began
        if made is None or made["spec"]["template"]["spec"] != self._last["spec"]["template"]["spec"]:
            raise NotProven("what was created is not the Job of the service")
        self._site.api.delete("jobs", manifest["metadata"]["name"])
        return took

    def _fetching(self) -> float:
        """Seconds that the service spent on fetches so far."""
        text = self._prepared.service.http.get("/metrics").text
        return sum(float(n) for n in re.findall(r'^gitops_work_seconds_sum\{kind="fetch"\} (\S+)', text, re.MULTILINE))

    def calm(self) -> None:
        """Until a second has passed since the last turn."""
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._due = time.monotonic() + 1.0

    def _manifest(self) -> Any:
        """The service's own, under another name, and nobody's whom the service looks after."""
        self._creates += 1
        last = copy.deepcopy(self._last)
        marked = {key: value for key, value in last["metadata"]["labels"].items() if key != _OURS}
        template = last["spec"]["template"]
        template["metadata"] = {
            "labels": {
                key: value
                for key, value in template["metadata"]["labels"].items()
                if key not in (_OURS, "controller-uid", "job-name")
            },
            "annotations": template["metadata"].get("annotations", {}),
        }
        kept = ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds")
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"bare-{self._creates}", "labels": marked},
            "spec": {**{key: last["spec"][key] for key in kept}, "template": template},
        }


# A queue that does not grow.


def _queue(bench: Bench, site: ClusterSite) -> list[Figure]:
    seconds, projects = bench.size(30, 3), [f"many-{n}" for n in range(bench.size(20, 4))]
    total = int(seconds * _RATE)
    service = site.service(*projects, instance="many")
    each = -(-total // len(projects)) + 2
    bench.say(f"{len(projects)} repositories are prepared")
    prepared = [site.prepared(service, project, each) for project in projects]
    for _ in range(2):  # both trees are loaded
        for commit, one in [(one.push()[0], one) for one in prepared]:
            one.ended_run(commit)
    bench.say(f"{_RATE:.0f} pushes a second for {seconds} s")
    began = time.time()
    with ThreadPoolExecutor(8) as people:
        sent = []
        for number, one in zip(range(total), cycle(prepared), strict=False):
            time.sleep(max(0.0, began + number / _RATE - time.time()))
            sent.append(people.submit(one.push))
        for push in sent:
            push.result()
    took = time.time() - began
    if took > seconds * _LATE:
        raise NotProven(f"{total} pushes took {took:.1f} s; this machine is too busy for {_RATE:.0f} a second")
    spans = _spans(site, service, began)
    if len(spans["deliveries"]) != total:
        raise NotProven(f"{total} pushes were sent and {len(spans['deliveries'])} deliveries are known")
    service.close()
    waiting = [span for kind in spans.values() for span in kind]
    third = took / 3
    first, last = (_mean(waiting, began + n * third, began + (n + 1) * third) for n in (0, 2))
    waits = sorted(end - begin for begin, end in spans["deliveries"])
    return [
        Figure("10 pushes a second: what waits in the last third, of the first", last, "", first, last / first),
        Figure.absolute("· a delivery, from its arrival to its outcome", waits, "s"),
        Figure.absolute("· the slowest of them", waits[-1:], "s"),
    ]


def _spans(site: ClusterSite, service: ServiceProcess, since: float) -> dict[str, list[tuple[float, float]]]:
    """From when to when something waited for the service: deliveries for their outcome, runs for their Job since they have room.

    A workflow has one run at a time, so that a run has room when the one before it has ended.
    """

    def rows() -> tuple[list[Any], list[Any]]:
        return service.all("/deliveries"), service.all("/runs")

    def settled() -> bool:
        deliveries, runs = rows()
        return all(one["outcome_at"] for one in deliveries) and all(run["ended_at"] for run in runs)

    site.wait(settled, "everything to have its outcome")
    deliveries, runs = rows()
    bad = Counter(run["state"] for run in runs if run["state"] not in ("succeeded", "superseded"))
    if bad:
        raise NotProven(f"runs ended otherwise than they should: {dict(bad)}")
    projects = [[run for run in runs if run["project"] == name] for name in {run["project"] for run in runs}]
    return {
        "deliveries": [
            (at(one["received_at"]), at(one["outcome_at"])) for one in deliveries if at(one["received_at"]) >= since
        ],
        "runs": [span for project in projects for span in _with_room(site, project) if span[0] >= since],
    }


def _with_room(site: ClusterSite, runs: Sequence[Any]) -> Iterator[tuple[float, float]]:
    """Of the runs of one workflow: since when each had room, and when its Job was made."""
    room = 0.0
    for run in sorted(runs, key=lambda run: str(run["id"])):
        if run["started_at"]:  # others gave way to a newer one while they waited for their turn
            yield max(room, at(run["created_at"])), site.job_made(run["id"])
            room = at(run["ended_at"])


def _mean(spans: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """How many of them there are on average in that time."""
    return sum(max(0.0, min(b, end) - max(a, begin)) for a, b in spans) / (end - begin)


# Runs that sleep.


def _sleepers(bench: Bench, site: ClusterSite) -> list[Figure]:
    few, many, watched = bench.size(50, 3), bench.size(500, 9), bench.size(4 * _WATCH_S, 4)
    workflows = ["main", *(f"w{number}" for number in range(many))]
    service = site.service("sleepers", instance="sleepers", counted=True)
    prepared = site.prepared(service, "sleepers", 1, workflows=workflows, nap=3600)
    prepared.push()
    site.wait(lambda: service.all("/runs", state="running"), "the first run")
    costs = {}
    asleep = 1
    for count in (few, many):
        bench.say(f"{count} runs are put to sleep")
        for workflow in workflows[asleep:count]:
            answer = service.http.post("/api/v1/projects/sleepers/runs", json={"workflow": workflow, "arguments": {}})
            if answer.status_code != 202:
                raise NotProven(answer.text)
        asleep = count
        site.wait(lambda: len(service.all("/runs", state="running")) == count, f"{count} runs to run")  # noqa: B023
        _calm_down(site)
        bench.say(f"{count} runs sleep")
        costs[count] = _cost(site, service, watched)
        if len(service.all("/runs", state="running")) != count or site.kubelet.running() < count:
            raise NotProven(f"not all of {count} runs slept on")
    service.close()
    ours, reference = costs[many], costs[few]
    return [
        Figure(
            "requests to the API server, 500 sleeping runs against 50",
            ours["requests"],
            "/s",
            reference["requests"],
            ours["requests"] / reference["requests"],
        ),
        Figure.absolute("· processor of the service with 500 sleeping runs", [100 * ours["processor"]], "%"),
        Figure.absolute("· the same with 50", [100 * reference["processor"]], "%"),
    ]


def _calm_down(site: ClusterSite) -> None:
    """Until the service asks no more than it did a moment ago: all logs are followed, all that is new was looked at."""
    rates = [float("inf")]
    while len(rates) < 10:
        before = site.meddler.count.total()
        time.sleep(2.0)
        rates.append(site.meddler.count.total() - before)
        if rates[-1] <= 2:
            return


def _cost(site: ClusterSite, service: ServiceProcess, seconds: float) -> Mapping[str, float]:
    """A request at least: a window without any says no more than that there were few."""
    pids = [service.master, *service.workers()]
    asked, used, began = site.meddler.count.total(), _processor(pids), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    requests = max(1, site.meddler.count.total() - asked)
    return {"requests": requests / took, "processor": (_processor(pids) - used) / took}


def _processor(pids: Sequence[int]) -> float:
    """Seconds that these processes used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
