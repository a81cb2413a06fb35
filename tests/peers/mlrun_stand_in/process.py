"""The stand-in as a process: started in the runner environment of its MLRun, told things, asked what came."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from service.launchers.process.environment import ensure_environment
from tests.peers.kubernetes.programs import Program, lasting_port
from tests.peers.present import say, settings_for

VERSIONS = ("1.9.2", "1.12.1")
_ROOT = Path(__file__).parents[3]
_READY_S = 120.0
_CONTROL_S = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What came. `status` and `answer` are what it got, `dropped` what the schema of its body does not keep."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str
    status: int
    rule: str = ""
    answer: Any = None
    dropped: tuple[str, ...] = ()

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class MlrunStandIn:
    """`.url` is its address, `.version` that of the MLRun it stands in for. What it holds is gone when it stops."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.folder = Path(tempfile.mkdtemp(prefix="mlrun-stand-in-"))
        self._port = lasting_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._http = httpx.Client(trust_env=False, timeout=_CONTROL_S)
        self.python = ensure_environment(settings_for(version), say).python
        words = [str(self.python), "-W", "ignore", "-m", "tests.peers.mlrun_stand_in.program", str(self._port)]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(_ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MLRUN_IGNORE_ENV_FILE": "true",
        }
        self.program = Program(words, self.folder / "log", environment)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Returns when it answers; importing mlrun takes it some seconds."""
        self.program.start_until(self.healthy, _READY_S, f"the stand-in for MLRun {self.version}")

    def stop(self) -> None:
        """At once, as a crash would."""
        self.program.stop(signal.SIGKILL)

    def healthy(self) -> bool:
        try:
            return self._http.get(f"{self.url}/stand-in/faults").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def requests(self, *methods: str) -> list[Request]:
        """All that came since it was reset or forgotten, or those by `methods`."""
        found = [Request(**{**one, "dropped": tuple(one.get("dropped", ()))}) for one in self._tell("GET", "requests")]
        return [one for one in found if not methods or one.method in methods]

    def writes(self) -> list[Request]:
        return self.requests("POST", "PUT", "PATCH", "DELETE")

    def forget_requests(self) -> None:
        self._tell("DELETE", "requests")

    def reset(self) -> None:
        """As new."""
        self._tell("POST", "reset")

    def fail(self, **fault: Any) -> None:
        """Fail as `program.faults.Fault` says: `fail(path="functions", status=503, headers={"retry-after": "7"})`."""
        self._tell("POST", "faults", fault)

    def heal(self) -> None:
        self._tell("DELETE", "faults")

    def fail_task(self, error: str) -> None:
        """The next background task fails."""
        self._tell("POST", "task", {"error": error})

    def builders(self, state: str, log: str = "") -> None:
        """Builders of images stand so from now on: `pending`, `running`, `ready` as they are at first, `error`; those that ended stay as they did."""
        self._tell("POST", "builder", {"state": state, "log": log})

    def ask_for(self, **auth: str) -> None:
        """Who is let in: `kind="token", token=`, `kind="session", access_key=`, `kind="basic", username=, access_key=`."""
        self._tell("POST", "auth", auth)

    def finish(
        self, project: str, uid: str, state: str = "completed", *, log: str = "", error: str = "", **results: Any
    ) -> None:
        """A run ends, having logged `results`; a runner that started a workflow logs `workflow_id`."""
        updates = {"status.state": state, "status.results": results, **({"status.error": error} if error else {})}
        self.change_run(project, uid, updates, log=log)

    def change_run(self, project: str, uid: str, updates: dict[str, Any], *, log: str = "") -> None:
        """Dotted keys of a run's document, and what it printed in the meantime."""
        self._tell("POST", "run", {"project": project, "uid": uid, "updates": updates, "log": log})

    def _tell(self, method: str, what: str, document: Any = None) -> Any:
        answer = self._http.request(method, f"{self.url}/stand-in/{what}", json=document)
        answer.raise_for_status()
        return answer.json()
