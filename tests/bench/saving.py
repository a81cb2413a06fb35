"""Saving a project of many functions into MLRun when one changed, against MLRun's own client, which writes whatever there is.

Both save the same commit into the same server, the strict stand-in for MLRun 1.9, which counts what it is asked: ours by a push, and
what MLRun documents as the way to bring a clone into its database, `load_project` and `sync_functions(save=True)`. A save of ours
is what a sync does about MLRun: it looks at what is there, plans, writes and reads back.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.bench.figure import Bench, Figure, NotProven
from tests.bench.pushing import Site
from tests.peers.mlrun_api import cold
from tests.peers.mlrun_stand_in.process import MlrunStandIn, Request
from tests.peers.runner import ENVIRONMENT
from tests.peers.service_process import ServiceProcess, wait_for

_PATIENCE_S = 300.0
_STORES_FUNCTION, _STORES_PROJECT = "stores a function", "stores a project"
_READS = frozenset({"GET"})
# Of a sync: what it does about MLRun.
_STAGES = ("look", "plan", "save")
_CODE = "def run(context):\n    context.log_result('number', {})\n"


def measure(bench: Bench) -> Sequence[Figure]:
    count, names = bench.size(500, 12), [f"saved-{number}" for number in range(bench.size(3, 1))]
    with Site(bench.folder) as site, MlrunStandIn("1.9.2") as mlrun:
        service = site.service(*names, over=_settings(mlrun), warm=True)
        rounds = [_Round(bench, site, service, mlrun, name).measured(count) for name in names]
    written, asked, seconds, first = ([one[key] for one in rounds] for key in ("written", "asked", "seconds", "first"))
    theirs_written, theirs_asked = ([one[f"their {key}"] for one in rounds] for key in ("written", "asked"))
    return [
        Figure.paired(
            "functions written when one of 500 changed, of what MLRun's client writes", written, theirs_written, ""
        ),
        Figure.paired("all requests of that save, of those of MLRun's client", asked, theirs_asked, ""),
        Figure.paired("seconds of that save, of a first one", seconds, first, "s"),
        Figure.absolute("· requests of that save that read", [one["read"] for one in rounds], ""),
    ]


def _settings(mlrun: MlrunStandIn) -> dict[str, Any]:
    # Nobody fetches from there: the stand-in runs nothing.
    return {"mlrun": {"api": mlrun.url}, "server": {"internal_url": "http://gitops.example.com"}}


class _Round:
    """A new project: it is saved for the first time, one of its functions changes, and MLRun's client saves it as it is then."""

    def __init__(self, bench: Bench, site: Site, service: ServiceProcess, mlrun: MlrunStandIn, name: str) -> None:
        self._say, self._folder, self._service, self._mlrun = bench.say, site.folder, service, mlrun
        self._name, self._team = name, site.team(name)

    def measured(self, count: int) -> dict[str, float]:
        self._say(f"{self._name}: {count} functions are saved")
        first, _ = self._push({**_project(self._name, count), **{f"f{n}.py": _CODE.format(n) for n in range(count)}})
        self._say(f"{self._name}: one of them changed")
        again, ours = self._push({"f7.py": _CODE.format(-7)})
        done = Counter(one.rule for one in ours)
        changed = [one.path for one in ours if one.rule == _STORES_FUNCTION]
        if [path.rpartition("/")[2] for path in changed] != ["f7"] or done[_STORES_PROJECT] != 1:
            raise NotProven(f"a push that changed f7 did this to MLRun: {dict(done)}, to {changed}")
        theirs = self._saved_by_mlruns_client()
        stored = {one.path for one in theirs if one.rule == _STORES_FUNCTION}
        if len(stored) != count:
            raise NotProven(f"MLRun's client stored {len(stored)} of {count} functions")
        return {
            "first": first,
            "seconds": again,
            "written": len(changed),
            "asked": len(ours),
            "read": sum(one.method in _READS for one in ours),
            "their written": sum(one.rule == _STORES_FUNCTION for one in theirs),
            "their asked": len(theirs),
        }

    def _push(self, files: dict[str, str | bytes | None]) -> tuple[float, list[Request]]:
        """The seconds of its save, and what MLRun was asked. Raises NotProven."""
        commit = self._team.work.commit(files, "Change")
        self._mlrun.forget_requests()
        self._team.push()
        sync = _synced(self._service, self._name, commit)
        return sum(sync["timings"][stage] for stage in _STAGES), self._mlrun.requests()

    def _saved_by_mlruns_client(self) -> list[Request]:
        self._mlrun.forget_requests()
        clone = self._team.work.repository.clone(self._folder / "clones" / self._name)
        environment = {**ENVIRONMENT, "HOME": str(clone.path), "PYTHONWARNINGS": "ignore"}
        words: list[str | Path] = [self._mlrun.python, cold.__file__, self._mlrun.url, clone.path]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
        if done.returncode != 0:
            raise NotProven(f"MLRun's client: {done.returncode}\n{done.stderr[-2000:]}")
        return self._mlrun.requests()


def _project(name: str, count: int) -> dict[str, str | bytes | None]:
    job = {"kind": "job", "image": "mlrun/mlrun", "handler": "run"}
    functions = [{"name": f"f{number}", "url": f"f{number}.py", **job} for number in range(count)]
    project = {"kind": "project", "metadata": {"name": name}, "spec": {"functions": functions}}
    return {"project.yaml": yaml.safe_dump(project)}


def _synced(service: ServiceProcess, name: str, commit: str) -> Any:
    """The sync of `commit`. Raises NotProven unless it succeeded."""

    def ended() -> list[Any]:
        found = service.get("/syncs", repository=name, commit=commit)["items"]
        return [one for one in found if one["state"] not in ("queued", "syncing")]

    wait_for(ended, _PATIENCE_S, lambda: f"a sync of {commit}\n{service.tail()}")
    sync = service.get(f"/syncs/{ended()[0]['id']}")
    if sync["state"] != "succeeded":
        raise NotProven(f"a sync {sync['state']}: {sync['error']}")
    return sync
