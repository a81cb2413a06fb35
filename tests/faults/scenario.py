"""A team that pushes to a service which is killed again and again, and what must be true of it at the end.

The project's step writes a line with its run's id to a file of the test's own and fsyncs it, so that what ran is known
from outside. Every push sets another `marker`, so that configuration and commit can be compared.
"""

from __future__ import annotations

import random
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
    """One repository, one service, one listener."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.chmod(0o755)
        self.random = random.Random(seed)
        self.lines = folder / "lines"
        self.lines.touch()
        self.lines.chmod(0o666)
        self.armed = folder / "crash"
        self.forge = GitServer(folder / "forge").start()
        self.repository = self.forge.create("team")
        self.work = self.repository.clone(folder / "work")
        self.recorder = Recorder(fail_every=7).__enter__()
        self.service = ServiceProcess(
            folder / "service",
            {
                "repositories": [
                    {"name": "team", "url": self.repository.url, "webhook_secrets": [SECRET], "poll": "5s"}
                ],
                "handlers": {"audit": self.recorder.settings()},
                "notify": [{"to": "audit"}],
            },
            environment={"GITOPS_CRASH_FILE": str(self.armed)},
        )
        self.acknowledged: list[str] = []
        self.marker = 0
        self.tip: str | None = None

    def close(self) -> None:
        self.service.stop()
        self.recorder.__exit__()
        self.forge.stop()

    def push(self) -> None:
        """A real push, then its webhook until somebody acknowledges it (a person presses redeliver)."""
        self.marker += 1
        cron = "* * * * *" if self.marker % 2 else "*/1 * * * *"
        nap = self.random.choice([0.0, 0.0, 0.2, 0.5])
        before = self.tip
        self.tip = self.work.commit(project_files(self.marker, self.lines, nap, cron), f"Push {self.marker}")
        self.work.push()
        body, headers = signed(push_payload("ada/team", before, self.tip))
        wait_for(lambda: self._acknowledged(body, headers), 60, lambda: f"an acknowledgement\n{self.service.tail()}")

    def _acknowledged(self, body: bytes, headers: dict[str, str]) -> bool:
        answer = deliver(self.service.http, "team", body, headers)
        if answer is None:
            self.service.keep_alive()
            return False
        if answer.status_code == 202:
            self.acknowledged.append(answer.json()["delivery"])
        return answer.status_code == 202

    def settle(self) -> None:
        """Wait until nothing is left to do."""
        wait_for(self._settled, SETTLED_S, self._unsettled)

    def _settled(self) -> bool:
        return not any(self._open().values())

    def _open(self) -> dict[str, list[Any]]:
        service = self.service
        service.keep_alive()
        deliveries = {one["id"]: one for one in service.all("/deliveries", repository="team")}
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
        assert not wrong, wrong

        lines = Counter(line.split()[0] for line in self.lines.read_text().splitlines())
        twice = {run: count for run, count in lines.items() if count > 1}
        assert not twice, f"a step ran twice: {twice}"
        runs = {run["id"]: run for run in service.all("/runs")}
        assert not lines.keys() - runs.keys(), "a step ran for a run that nobody planned"
        for run in runs.values():
            wrote = lines[run["id"]]
            if run["state"] == "succeeded":
                assert wrote == 1, f"{run} says it succeeded and its step did not run"
            elif run["state"] in ("superseded", "cancelled"):
                assert wrote == 0, f"{run} gave way and ran all the same"
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

    def _check_fires(self, runs: dict[str, Any]) -> int:
        """Since the schedule is there, every minute has one fire, and every fired one its run."""
        count = 0
        schedules = self.service.all("/schedules")
        assert [(one["name"], one["workflow"]) for one in schedules] == [("tick", "tick")]
        for schedule in schedules:
            fires = self.service.all(f"/schedules/{schedule['id']}/fires")
            due = [_minute(fire["due"]) for fire in fires]
            first, last = _minute(schedule["created_at"]) + 1, _minute(schedule["next_due"]) - 1
            assert sorted(due) == list(range(first, last + 1)), f"fires {sorted(due)}, minutes {first}..{last}"
            for fire in fires:
                assert (fire["state"] == "fired") == (fire["run"] is not None)
                assert fire["run"] is None or runs[fire["run"]]["schedule"] == schedule["id"]
            count += len(fires)
        fired = Counter((run["schedule"], run["due"]) for run in runs.values() if run["schedule"])
        assert all(n == 1 for n in fired.values())
        return count

    def _check_messages(self, runs: dict[str, Any], syncs: list[Any]) -> None:
        """Whatever ended was told: to the listener, not only to the store."""
        told = Counter((m["event"], (m["run"] or {}).get("id")) for m in self.recorder.received.values())
        for run in runs.values():
            if run["state"] in ("succeeded", "lost"):
                assert told[f"run.{run['state']}", run["id"]] == 1, f"{run['id']} {run['state']} was told {told}"
        succeeded = sum(sync["state"] == "succeeded" for sync in syncs)
        assert sum(n for (event, _), n in told.items() if event == "sync.succeeded") == succeeded


def _minute(at: str) -> int:
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


__all__ = ["Team", "nap", "project_files", "signal", "warm_parents"]
