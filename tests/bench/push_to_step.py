"""How long after `git push` the first step runs, against CI as MLRun documents it: clone, `python -m mlrun project ./ -r main`.

Both begin with the same kind of push to the same forge and end with the time that the step itself wrote. CI runs in the
very environment that our runner uses, its files cached, with nothing to install and no queue before it, which real CI
never is. Each push changes the project's parameters, so nothing of it was ever loaded before, unless a figure says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from service.launchers.process.environment import ensure_environment
from service.settings import load_settings
from tests.bench.figure import Bench, Figure, NotProven, in_turn
from tests.bench.pushing import Site, at, ended_run


def measure(bench: Bench) -> Sequence[Figure]:
    with Site(bench.folder) as site:
        bench.say("services start")
        warm, seen, cold = _Ours(site, "warm"), _Ours(site, "seen"), _Ours(site, "cold", warm=False)
        ci = _Ci(site)
        bench.say("first pushes, which nobody measures")
        for side in (warm, seen, cold, ci):
            side.push()
        for _ in range(2):
            seen.push_again()
        warm.stages.clear()
        turns = {"ci": ci.push, "warm": warm.push, "seen": seen.push_again}
        found = in_turn(bench.size(7, 1), turns, bench.say)
        chilly = in_turn(bench.size(3, 1), {"ci": ci.push, "cold": cold.push}, bench.say)
    return [
        Figure.paired("push to first step", found["warm"], found["ci"], "s"),
        Figure.paired("the same, of files that were loaded before", found["seen"], found["ci"], "s"),
        Figure.paired("the same with a cold runner, which starts twice", chilly["cold"], chilly["ci"], "s"),
        *[Figure.absolute(f"· {name}", values, "ms") for name, values in warm.stages.items()],
    ]


class _Ours:
    """One repository and a service of its own that has its webhook."""

    def __init__(self, site: Site, name: str, *, warm: bool = True) -> None:
        self.service = site.service(name, warm=warm)
        self.stages: dict[str, list[float]] = defaultdict(list)
        self._site = site
        self._team = site.team(name)
        self._pushes = 0

    def push(self) -> float:
        """Seconds to the first step."""
        self._pushes += 1
        return self._push(f"push-{self._pushes}")

    def push_again(self) -> float:
        """The same, of one of two states of the files that take turns."""
        self._pushes += 1
        return self._push(("this", "that")[self._pushes % 2])

    def _push(self, push: str) -> float:
        commit = self._team.configure(push)
        self._site.reads.clear()
        began = self._team.push()
        pushed = time.time()
        stamped = self._team.stamped(push)
        marks = self._marks(commit)
        marks |= {"git push began": began, "first step wrote its time": stamped}
        self._note(marks)
        self.stages["beside these: git push ended after"].append((pushed - began) * 1000)
        self.stages["beside these: webhook acknowledged after its arrival"].append(
            (self._site.acknowledged[-1] - marks["webhook arrived"]) * 1000
        )
        return stamped - began

    def _marks(self, commit: str) -> dict[str, float]:
        """What the API tells, once the run has ended: nothing of it may meet the next turn."""
        sync, run = ended_run(self.service, self._team.name, commit)
        (delivery,) = self.service.get("/deliveries", repository=self._team.name, limit=1)["items"]
        events = {e["event"]: at(e["at"]) for e in self.service.get(f"/runs/{run['id']}/events")["items"]}
        begun, spent = at(sync["started_at"]), sync["timings"]
        return {
            "webhook arrived": at(delivery["received_at"]),
            "fetch asked the forge": self._site.reads[0],
            "sync queued": at(sync["created_at"]),
            "sync began": begun,
            "changes read": begun + spent["diff"],
            "project loaded": begun + spent["diff"] + spent["load"],
            "revision saved, run queued": at(sync["ended_at"]),
            "run claimed": events["claimed"],
            "run started": events["started"],
            "first step began": events["step.started"],
        }

    def _note(self, marks: Mapping[str, float]) -> None:
        in_order = sorted(marks.items(), key=lambda mark: mark[1])
        for (_, before), (name, after) in pairwise(in_order):
            self.stages[name].append((after - before) * 1000)


class _Ci:
    """A CI job of a repository that no service knows."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._team = site.team("ci")
        self._python = ensure_environment(load_settings(environ={})).python
        self._environment = {
            "PATH": f"{self._python.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(site.folder),
            "LANG": "C.UTF-8",
        }
        self._pushes = 0

    def push(self) -> float:
        self._pushes += 1
        push = f"ci-{self._pushes}"
        self._team.configure(push)
        began = self._team.push()
        clone = self._site.folder / push
        said = self._run("git", "clone", "--quiet", self._team.work.repository.url, str(clone), cwd="/")
        said += self._run("python", "-m", "mlrun", "project", "./", "-r", "main", cwd=str(clone))
        shutil.rmtree(clone)
        # MLRun's command ends with 0 whatever became of the workflow: only the step's own file tells.
        if not self._team.has_stamped(push):
            raise NotProven(f"CI's step did not run:\n{said[-2000:]}")
        return self._team.stamped(push) - began

    def _run(self, *command: str, cwd: str) -> str:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NotProven(f"{' '.join(command)}: {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout + done.stderr
