"""MLRun's REST API as a test reads it: plain paths, plain documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tests.waiting import until

_RUN_S = 120.0
ENDED = frozenset({"completed", "error", "aborted"})


class MlrunClient:
    """Whoever looks into the database of the MLRun API server at `url`."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1", trust_env=False, timeout=60)

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **query: str) -> Any:
        answer = self.http.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def project(self, name: str) -> Any:
        return self.get(f"/projects/{name}")

    def delete_project(self, name: str) -> None:
        """With all that belongs to it, as clients up to 1.5 do it."""
        how = {"x-mlrun-deletion-strategy": "cascade"}
        self.http.delete(f"/projects/{name}", headers=how).raise_for_status()

    def functions(self, project: str) -> dict[str, Any]:
        """Name → function, of those that have the tag `latest`."""
        found = self.get(f"/projects/{project}/functions", tag="latest")["funcs"]
        return {one["metadata"]["name"]: one for one in found}

    def schedules(self, project: str) -> dict[str, Any]:
        found = self.get(f"/projects/{project}/schedules", include_last_run="true")["schedules"]
        return {one["name"]: one for one in found}

    def invoke(self, project: str, schedule: str) -> str:
        """Have the schedule fire as soon as no run of it is left; the id of the new one."""

        def fire() -> str:
            answer = self.http.post(f"/projects/{project}/schedules/{schedule}/invoke")
            answer.raise_for_status()
            begun = answer.json()
            return str(begun["data"]["metadata"]["uid"]) if begun else ""

        return until(fire, f"the schedule {schedule} to be free", _RUN_S)

    def move(self, project: str, schedule: str, cron: str) -> None:
        wish = {"cron_trigger": cron}
        self.http.put(f"/projects/{project}/schedules/{schedule}", json=wish).raise_for_status()

    def fired(self, project: str, schedule: str, seconds: float = 150.0, *, after: str = "") -> str:
        """The id of the run that it last began, once there is one, and another than `after`."""

        def look() -> str:
            # project@uid#iteration
            uri = self.schedules(project)[schedule].get("last_run_uri") or ""
            uid = str(uri).partition("@")[2].partition("#")[0]
            return uid if uid != after else ""

        return until(look, f"the schedule {schedule} to fire", seconds)

    def put_secrets(self, project: str, secrets: dict[str, str]) -> None:
        wish = {"provider": "kubernetes", "secrets": secrets}
        self.http.post(f"/projects/{project}/secrets", json=wish).raise_for_status()

    def abort(self, project: str, uid: str) -> None:
        """As clients up to 1.5 do it; the end point of later ones is not there."""
        wish = {"status.state": "aborted"}
        self.http.patch(f"/projects/{project}/runs/{uid}", json=wish).raise_for_status()

    def run(self, project: str, uid: str) -> Any:
        return self.get(f"/projects/{project}/runs/{uid}")["data"]

    def runs(self, project: str, name: str) -> list[Any]:
        """Those of that name; an old server lists no others at once."""
        found: list[Any] = self.get(f"/projects/{project}/runs", name=name)["runs"]
        return found

    def log(self, project: str, uid: str) -> str:
        return self.http.get(f"/projects/{project}/logs/{uid}").text

    def ended(self, project: str, uid: str) -> Any:
        """The run, once it has ended."""
        return self.seen(project, uid, lambda run: run["status"].get("state") in ENDED, "end")

    def seen(self, project: str, uid: str, holds: Callable[[Any], bool], what: str) -> Any:
        """The run, as soon as `holds` says so of it."""

        def look() -> Any:
            run = self.run(project, uid)
            return run if holds(run) else None

        return until(look, f"run {uid} to {what}", _RUN_S)
