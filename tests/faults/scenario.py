"""A team that pushes to a service which is killed again and again, and what must be true of it at the end.

The project's step writes a line with its run's id to a file of the test's own and fsyncs it, so that what ran is known
from outside. Every push sets another `marker`, so that configuration and commit can be compared.
"""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from service.launchers.process import warm
from tests.peers.forge import SECRET, deliver, push_payload, signed
from tests.peers.git_http import GitServer
from tests.peers.recorder import Recorder
from tests.peers.service_process import ServiceProcess, wait_for

# A webhook's body and headers.
Hook = tuple[bytes, dict[str, str]]
# How long after its due time a fire may be recorded: the store is compared with the clock every 5 s.
LATE_S = 15.0
ENDED = {"succeeded", "failed", "cancelled", "superseded", "timed-out", "lost"}
SETTLED_S = 240.0

_STEP = """\
import os
import time


def work(context, marker: int, lines: str, nap: float):
    line = "{} {}\\n".format(os.environ["GITOPS_JOB"], marker).encode()
    handle = os.open(lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(handle, line)
    os.fsync(handle)
    os.close(handle)
    time.sleep(nap)
    context.log_result("marker", marker)
"""

_WORKFLOW = """\
import mlrun
from kfp import dsl


@dsl.pipeline(name="steps")
def pipeline():
    project = mlrun.get_current_project()
    names = ("marker", "lines", "nap")
    project.run_function("work", params={name: project.get_param(name) for name in names}, outputs=["marker"])
"""


def project_files(marker: int, lines: Path, nap: float, cron: str) -> dict[str, str | bytes | None]:
    """The repository at one push."""
    project = {
        "kind": "project",
        "metadata": {"name": "team"},
        "spec": {
            "params": {"marker": marker, "lines": str(lines), "nap": nap},
            "functions": [{"name": "work", "kind": "job", "image": "mlrun/mlrun", "url": "work.py", "handler": "work"}],
            "workflows": [
                {"name": "main", "path": "workflow.py", "engine": "kfp"},
                {"name": "tick", "path": "workflow.py", "engine": "kfp", "schedule": cron},
            ],
        },
    }
    return {"project.yaml": yaml.safe_dump(project), "work.py": _STEP, "workflow.py": _WORKFLOW}


class Team:
    """One repository, one service, one listener.

    `disk` is where the service's data and runs lie, when not in `folder`. `may_fail` is what a failed run or delivery may
    say of its failure: something that the fault did to it.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        disk: Path | None = None,
        settings: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        may_fail: str | None = None,
        **recorder: Any,
    ) -> None:
        folder.chmod(0o755)
        self.random = random.Random(seed)
        self.lines = folder / "lines"
        self.lines.touch()
        self.lines.chmod(0o666)
        self.armed = folder / "crash"
        self.forge = GitServer(folder / "forge").start()
        self.repository = self.forge.create("team")
        self.work = self.repository.clone(folder / "work")
        self.may_fail = may_fail
        self.recorder = Recorder(fail_every=7, **recorder).__enter__()
        self.service = self._serve(
            disk or folder / "service",
            {
                "repositories": [
                    {"name": "team", "url": self.repository.url, "webhook_secrets": [SECRET], "poll": "5s"}
                ],
                "handlers": {"audit": self.recorder.settings()},
                "notify": [{"to": "audit"}],
                **(settings or {}),
            },
            environment={"GITOPS_CRASH_FILE": str(self.armed), **(environment or {})},
        )
        self.acknowledged: list[str] = []
        self.outcomes: dict[str, str] = {}
        self.markers: dict[str, int] = {}
        self.marker = 0
        self.tip: str | None = None

    def _serve(self, folder: Path, config: dict[str, Any], environment: dict[str, str]) -> ServiceProcess:
        """The service, not yet started."""
        return ServiceProcess(folder, config, environment=environment)

    def clock(self) -> float:
        """The time on the wall that the service sees."""
        return time.time()

    def close(self) -> None:
        self.service.close()
        self.recorder.__exit__()
        self.forge.stop()

    def push(self) -> None:
        """A real push, then its webhook until somebody acknowledges it (a person presses redeliver)."""
        self.announce(self.commit())

    def commit(self) -> Hook:
        """A real push; the webhook that tells of it, not yet delivered."""
        self.marker += 1
        cron = "* * * * *" if self.marker % 2 else "*/1 * * * *"
        nap = self.random.choice([0.0, 0.0, 0.2, 0.5])
        before = self.tip
        self.tip = self.work.commit(project_files(self.marker, self.lines, nap, cron), f"Push {self.marker}")
        self.markers[self.tip] = self.marker
        self.work.push()
        return signed(push_payload("ada/team", before, self.tip))

    def announce(self, hook: Hook, seconds: float = 60) -> None:
        """Deliver it until somebody acknowledges it."""
        wait_for(lambda: self.deliver(hook) == 202, seconds, lambda: f"an acknowledgement\n{self.service.tail()}")

    def deliver(self, hook: Hook) -> int | None:
        """One attempt: the status it got, None when nobody answered."""
        answer = deliver(self.service.http, "team", *hook)
        if answer is None:
            self.service.keep_alive()
            return None
        if answer.status_code == 202:
            self.acknowledged.append(answer.json()["delivery"])
        return answer.status_code

    def settle(self) -> None:
        """Wait until nothing is left to do."""
        wait_for(self._settled, SETTLED_S, self._unsettled)

    def _settled(self) -> bool:
        return not any(self._open().values())

    def _open(self) -> dict[str, list[Any]]:
        service = self.service
        service.keep_alive()
        deliveries = {one["id"]: one for one in service.all("/deliveries", repository="team")}
        for one in deliveries.values():
            if one["outcome"]:
                before = self.outcomes.setdefault(one["id"], one["outcome"])
                assert one["outcome"] == before, f"{one['id']} ended as {before}, then as {one['outcome']}"
        return {
            "deliveries": [i for i in self.acknowledged if not deliveries.get(i, {}).get("outcome")],
            "syncs": [(s["id"], s["state"]) for s in service.all("/syncs") if s["state"] in ("queued", "syncing")],
            "runs": [(r["id"], r["state"], r["reason"]) for r in service.all("/runs") if r["state"] not in ENDED],
            "notifications": [
                (n["id"], n["event"], n["reason"]) for n in service.all("/notifications") if n["state"] == "pending"
            ],
        }

    def _unsettled(self) -> str:
        return f"everything to settle; open: {self._open()}\n{self.service.tail()}"

    def check(self) -> dict[str, int]:
        """The invariants; what was counted."""
        service = self.service
        deliveries = {one["id"]: one for one in service.all("/deliveries")}
        missing = [i for i in self.acknowledged if i not in deliveries]
        assert not missing, f"acknowledged and lost: {missing}"
        assert all(deliveries[i]["outcome"] for i in self.acknowledged)
        wrong = [
            (one["outcome"], one["outcome_reason"], one["after"])
            for one in (deliveries[i] for i in self.acknowledged)
            if one["outcome"] in ("failed", "no-project", "deleted")
        ]
        wrong = [one for one in wrong if not (self.may_fail and re.search(self.may_fail, one[1]))]
        assert not wrong, f"{len(wrong)} deliveries ended badly: {wrong[:3]}"

        written = [line.split() for line in self.lines.read_text().splitlines()]
        lines = Counter(run for run, _ in written)
        twice = {run: count for run, count in lines.items() if count > 1}
        assert not twice, f"a step ran twice: {twice}"
        runs = {run["id"]: run for run in service.all("/runs")}
        assert not lines.keys() - runs.keys(), "a step ran for a run that nobody planned"
        mixed = [(runs[run], marker) for run, marker in written if self.markers[runs[run]["commit"]] != int(marker)]
        assert not mixed, f"files and configuration of different commits ran: {mixed}"
        for run in runs.values():
            wrote = lines[run["id"]]
            if run["state"] == "succeeded":
                assert wrote == 1, f"{run} says it succeeded and its step did not run"
                returned = [{"marker": self.markers[run["commit"]]}]
                assert list((run["results"] or {}).values()) == returned, f"{run} did not return {returned}"
            elif run["state"] in ("superseded", "cancelled"):
                assert wrote == 0, f"{run} gave way and ran all the same"
            elif run["state"] == "failed" and self.may_fail:
                assert re.search(self.may_fail, str(run["error"])), (
                    f"a run failed, and not by what was done to it: {run}"
                )
            else:
                assert run["state"] == "lost", f"a run ended as nobody expects: {run}"

        project = service.get("/projects/team")
        assert project["in_force"]["commit"] == self.tip
        revision = service.get(f"/projects/team/revisions/{project['in_force']['revision']}")
        assert revision["resolved"]["project"]["spec"]["params"]["marker"] == self.marker
        syncs = service.all("/syncs")
        assert all(sync["state"] in ("succeeded", "superseded") for sync in syncs), [
            (sync["state"], sync["error"]) for sync in syncs if sync["state"] not in ("succeeded", "superseded")
        ]
        self._check_syncs(syncs)
        planned = Counter(run["sync"] for run in runs.values() if run["sync"])
        succeeded = [sync for sync in syncs if sync["state"] == "succeeded"]
        assert all(planned[sync["id"]] == 1 for sync in succeeded), "a sync's run is missing or doubled"

        fires = self._check_fires(runs)
        self._check_messages(runs, syncs)
        states = Counter(run["state"] for run in runs.values())
        return {
            "acknowledged": len(self.acknowledged),
            "syncs": len(syncs),
            "runs": len(runs),
            "lost": states["lost"],
            "lines": sum(lines.values()),
            "fires": fires,
            "messages": len(self.recorder.received),
        }

    def _check_syncs(self, syncs: list[Any]) -> None:
        """Every pushed commit has one sync, also when nobody told of it; what gave way did so to a later one."""
        assert Counter(sync["commit"] for sync in syncs) == Counter(self.markers.keys())
        by_id = {sync["id"]: sync for sync in syncs}
        for sync in syncs:
            newer = by_id[sync["superseded_by"]]["seq"] if sync["state"] == "superseded" else sync["seq"] + 1
            assert newer > sync["seq"], f"{sync} gave way to an earlier one"
        ordered = sorted((sync for sync in syncs if sync["state"] == "succeeded"), key=lambda sync: sync["seq"])
        markers = [self.markers[sync["commit"]] for sync in ordered]
        assert markers == sorted(markers), f"an older commit was put in force after a newer one: {markers}"

    def _check_fires(self, runs: dict[str, Any]) -> int:
        """Since the schedule is there, every minute has one fire, and every fired one its run."""
        count = 0
        schedules = self.service.all("/schedules")
        assert [(one["name"], one["workflow"]) for one in schedules] == [("tick", "tick")]
        for schedule in schedules:
            fires = self.service.all(f"/schedules/{schedule['id']}/fires")
            due = [minute(fire["due"]) for fire in fires]
            expected = self._due_minutes(schedule)
            assert len(due) == len(set(due)), f"a minute has two fires: {sorted(due)}"
            assert set(due) == expected, (
                f"minutes without a fire {expected - set(due)}, fires of none {set(due) - expected}"
            )
            for fire in fires:
                assert (fire["state"] == "fired") == (fire["run"] is not None)
                assert fire["run"] is None or runs[fire["run"]]["schedule"] == schedule["id"]
            count += len(fires)
            fired = {fire["run"] for fire in fires if fire["run"]}
            assert fired == {run["id"] for run in runs.values() if run["schedule"] == schedule["id"]}
            self._check_in_step(schedule)
        times = Counter((run["schedule"], run["due"]) for run in runs.values() if run["schedule"])
        assert all(n == 1 for n in times.values())
        return count

    def _due_minutes(self, schedule: Any) -> set[int]:
        """The minutes since the epoch that must have a fire: all since the schedule is there."""
        return set(range(minute(schedule["created_at"]) + 1, minute(schedule["next_due"])))

    def _check_in_step(self, schedule: Any) -> None:
        """What the store says is next lies ahead by our own clock, or was due just now."""
        ahead = datetime.fromisoformat(schedule["next_due"]).timestamp() - self.clock()
        assert -LATE_S < ahead <= 60, f"{schedule} is due in {ahead:.1f} s"

    def _check_messages(self, runs: dict[str, Any], syncs: list[Any]) -> None:
        """Whatever ended was told: to the listener, not only to the store."""
        told = Counter((m["event"], (m["run"] or {}).get("id")) for m in self.recorder.received.values())
        for run in runs.values():
            assert told["run.queued", run["id"]] == 1, f"{run['id']} was queued and told {told}"
            if run["state"] != "superseded":
                assert told[f"run.{run['state']}", run["id"]] == 1, f"{run['id']} {run['state']} was told {told}"
        of_sync = Counter((m["event"], m["commit"]["sha"]) for m in self.recorder.received.values() if m["commit"])
        for sync in syncs:
            topic = f"sync.{sync['state']}"
            assert of_sync[topic, sync["commit"]] == 1, f"{topic} of {sync['commit']} was told {of_sync}"
        outbox = {one["id"]: one for one in self.service.all("/notifications")}
        unsent = [one for one in outbox.values() if one["state"] not in ("sent", "superseded")]
        assert not unsent, f"given up: {unsent}"
        sent = {id_ for id_, one in outbox.items() if one["state"] == "sent"}
        heard = self.recorder.received.keys()
        assert sent <= heard <= outbox.keys(), "the outbox and what the listener heard differ"
        passed = [one["event"] for id_, one in outbox.items() if id_ not in sent]
        assert set(passed) <= {"run.progress"}, f"only progress gives way to newer progress: {passed}"


def minute(at: str) -> int:
    return int(datetime.fromisoformat(at).astimezone(UTC).timestamp() // 60)


def nap(seconds: float) -> None:
    """Let the service get somewhere; where does not matter."""
    time.sleep(seconds)


def warm_parents(team: Team) -> list[int]:
    """The runner parents of this team's service that answer, nobody else's."""
    data = team.service.data_dir
    homes = (data / "runs" / ".warm", data.with_name(f"{data.name}-runs") / ".warm")
    answers = [warm.ping(folder) for home in homes for folder in home.glob("*/")]
    return [int(str(about["pid"])) for about in answers if about is not None]


__all__ = ["Hook", "Team", "minute", "nap", "project_files", "signal", "warm_parents"]
