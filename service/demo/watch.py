"""Looking at the service from outside, by its API, until a push has come to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.cli.client import Client
from service.demo.child import Child
from service.demo.facts import Outcome, State, messages, step_name
from service.demo.forge import Forge, Pushed
from service.demo.listener import Listener
from service.demo.sample import STEPS
from service.demo.waiting import until
from service.domain.states import OPEN_RUNS, OPEN_SYNCS

REPOSITORY = "fraud"
PROJECT = "fraud"
# A first run installs nothing any more, but imports MLRun, on a machine that may be slow.
_PUSH_S = 180.0
_ALL = 500

Saying = Callable[[str], None]


class Watch:
    def __init__(self, client: Client, child: Child, forge: Forge, listener: Listener) -> None:
        self._client = client
        self._child = child
        self._forge = forge
        self._listener = listener

    def state(self) -> State:
        found = self._client.get("projects", repository=REPOSITORY)["items"]
        if not found:
            return State()
        return State(
            project=found[0],
            revisions=self._all("projects", PROJECT, "revisions"),
            schedules=self._all("schedules", project=PROJECT),
            runs=self._all("runs", project=PROJECT),
        )

    def follow(self, pushed: Pushed, before: State, say: Saying) -> Outcome:
        """Until its runs have ended and everybody was told. `say` hears what is going on. Raises DemoError."""
        webhook = next((one for one in self._forge.deliveries() if one.get("commit") == pushed.commit), {})
        say("fetching the repository")
        delivery = self._delivery(webhook)
        self._wait(lambda: self._synced(pushed.commit, say), f"the sync of {pushed.commit[:8]}")
        [newest, *_] = self._client.get("syncs", project=PROJECT, commit=pushed.commit)["items"]
        sync = self._client.get("syncs", newest["id"])
        self._wait(lambda: self._ran(sync["id"], say), "its run")
        say("telling everybody")
        self._wait(self._told, "the messages to leave")
        sync = self._client.get("syncs", sync["id"])
        told = [message for message in messages(self._child.said()) if pushed.commit[:12] in message]
        heard = [one for one in self._listener.heard if (one["commit"] or {}).get("sha") == pushed.commit]
        return Outcome(
            commit=pushed.commit,
            pushed_at=pushed.began_at,
            webhook=webhook,
            delivery=self._client.get("deliveries", delivery) if delivery else {},
            sync=sync,
            events=self._events(sync["runs"][0]["id"]) if sync["runs"] else (),
            before=before,
            after=self.state(),
            console=tuple(told),
            heard=tuple(heard),
            forged=self._listener.forged,
        )

    def _delivery(self, webhook: dict[str, Any]) -> str:
        """Wait for its outcome; its id."""
        id_ = str(webhook.get("answer", {}).get("delivery", ""))
        if id_:
            self._wait(lambda: self._client.get("deliveries", id_)["outcome"], "the fetch")
        return id_

    def _synced(self, commit: str, say: Saying) -> bool:
        found = self._client.get("syncs", project=PROJECT, commit=commit)["items"]
        if not found or found[0]["state"] in OPEN_SYNCS:
            say("loading the project with MLRun" if found else "fetching the repository")
            return False
        return True

    def _ran(self, sync: str, say: Saying) -> bool:
        open_ = [run for run in self._client.get("syncs", sync)["runs"] if run["state"] in OPEN_RUNS]
        for run in open_[:1]:
            steps = [one["data"]["step"] for one in self._events(run["id"]) if one["event"] == "step.started"]
            of = f"({len(steps)}/{len(STEPS)})"
            say(f"running {run['workflow']}: {step_name(steps[-1])} {of}" if steps else f"starting {run['workflow']}")
        return not open_

    def _told(self) -> bool:
        return not self._client.get("notifications", state="pending", limit=1)["items"]

    def _events(self, run: str) -> tuple[dict[str, Any], ...]:
        return tuple(self._client.get("runs", run, "events")["items"])

    def _all(self, *path: str, **query: str) -> tuple[dict[str, Any], ...]:
        """Oldest first."""
        items: list[dict[str, Any]] = self._client.get(*path, limit=_ALL, **query)["items"]
        return tuple(sorted(items, key=lambda item: (item["created_at"], item["id"])))

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        until(condition, _PUSH_S, what, self._child.check)
