"""A team at work: it pushes the example project, waits until its workflow has run, and pushes again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.figure import NotProven
from tests.peers.forge import deliver, push_payload, signed
from tests.peers.git_http import GitRepository
from tests.peers.service_process import ServiceProcess, wait_for

EXAMPLE = Path(__file__).parents[2] / "examples/quickstart"
_OPEN = {"queued", "starting", "running"}
_LONG_S = 180.0


class Team:
    """One repository with its pushes. The repository's name is its name in the service's settings too."""

    def __init__(self, repository: GitRepository, folder: Path) -> None:
        self._repository = repository
        self._work = repository.clone(folder)
        self._files = {
            file.relative_to(EXAMPLE).as_posix(): file.read_text(encoding="utf-8")
            for file in EXAMPLE.rglob("*")
            if file.is_file() and file.suffix in {".py", ".yaml"}
        }
        self._tip: str | None = None
        self._pushes = 0

    @contextmanager
    def at_work(self, service: ServiceProcess) -> Iterator[None]:
        """Begins when a first run is under way, ends when the last has ended. Raises NotProven unless every push ran."""
        pushed: list[str] = []
        faults: list[BaseException] = []
        enough = threading.Event()

        def push_and_wait() -> None:
            try:
                while not enough.is_set():
                    pushed.append(self._push(service))
                    wait_for(lambda: self._ran(service, pushed[-1]), _LONG_S, "a push to become a run")
            except BaseException as fault:  # noqa: BLE001 - told by the thread that waits for this one
                faults.append(fault)

        pushing = threading.Thread(target=push_and_wait)
        pushing.start()
        try:
            wait_for(lambda: faults or self._runs(service, *_OPEN), _LONG_S, "a push to become a run")
            yield
        finally:
            enough.set()
            pushing.join()
        if faults:
            raise NotProven(f"the team could not work: {faults[0]}")

    def wait_idle(self, service: ServiceProcess) -> None:
        wait_for(lambda: not self._runs(service, *_OPEN), _LONG_S, "the runs to end")

    def _push(self, service: ServiceProcess) -> str:
        self._pushes += 1
        news = f"# Change {self._pushes}, without which nothing would run.\n"
        changed: dict[str, str | bytes | None] = {**self._files, "src/train.py": self._files["src/train.py"] + news}
        before, self._tip = self._tip, self._work.commit(changed, f"Change {self._pushes}")
        self._work.push()
        body, headers = signed(push_payload(f"ada/{self._repository.name}", before, self._tip))
        answer = deliver(service.http, self._repository.name, body, headers)
        if answer is None or answer.status_code != 202:
            raise NotProven(f"a push of the team was answered {answer}")
        return self._tip

    def _ran(self, service: ServiceProcess, commit: str) -> bool:
        """Whether the run of this commit succeeded. Raises NotProven when it did anything else."""
        ended = [run for run in self._runs(service) if run["commit"] == commit and run["state"] not in _OPEN]
        if wrong := [run for run in ended if run["state"] != "succeeded"]:
            raise NotProven(f"a run ended as {wrong[0]['state']}: {wrong[0]}")
        return bool(ended)

    def _runs(self, service: ServiceProcess, *states: str) -> list[Any]:
        """The newest, of these states."""
        items = service.get("/runs", repository=self._repository.name, limit=5)["items"]
        return [run for run in items if not states or run["state"] in states]
