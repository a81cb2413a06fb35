"""401: from the service the last word, from a proxy or a service whose store is just put back the word of a moment."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from service.launchers import JobKind
from service.workflow_runner.pod.service import STRANGER_S
from tests.peers.pod import Callee, Pod, fake_program
from tests.waiting import until

Start = Callable[..., Pod]
UNKNOWN = "401 Unauthorized", b'{"detail": "there is no such job, or this is not its token"}'


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with less patience."""
    whole = fake_program(tmp_path_factory.mktemp("patient"))
    made, changed = tmp_path_factory.mktemp("hasty") / whole.name, 0
    with zipfile.ZipFile(whole) as packed, zipfile.ZipFile(made, "w") as hasty:
        for name in packed.namelist():
            text = packed.read(name)
            changed += text.count(f"STRANGER_S = {STRANGER_S}".encode())
            hasty.writestr(name, text.replace(f"STRANGER_S = {STRANGER_S}".encode(), b"STRANGER_S = 3.0"))
    assert changed == 1
    return made


def test_a_moment_of_it_costs_a_job_nothing(callee: Callee, start: Start) -> None:
    callee.add(kind=JobKind.LOAD, script="open(folder + '/result.json', 'w').write('{}')\nemit('began')\n")
    asked: Counter[str] = Counter()

    def meddle(what: str) -> tuple[str, bytes] | None:
        asked[what] += 1
        return UNKNOWN if asked[what] <= 2 else None

    callee.meddle = meddle
    pod = start()
    assert pod.wait() == 0, pod.log
    assert callee.events() == ["claimed", "began", "finished"]
    assert set(asked) == {"job", "source", "claim", "events", "result"}


def test_a_job_that_runs_is_ended_after_a_while_and_its_log_says_why(callee: Callee, start: Start) -> None:
    callee.add(script="emit('began')\ntime.sleep(600)\n")
    pod = start()
    until(lambda: "began" in callee.events(), "the job to run")
    callee.meddle = lambda _: UNKNOWN
    assert pod.wait() == 143
    assert "asks again" in pod.log
    assert (
        "ends the job: the service has not known it for 3 s: there is no such job, or this is not its token" in pod.log
    )


def test_a_job_that_has_not_begun_never_does(callee: Callee, start: Start) -> None:
    callee.add()
    callee.meddle = lambda _: UNKNOWN
    pod = start()
    assert pod.wait() == 0
    assert "nothing to do: the service has not known it for 3 s" in pod.log
    assert callee.events() == []


def test_what_a_job_that_has_ended_still_had_to_tell_is_not_told_for_ever(callee: Callee, start: Start) -> None:
    callee.add(script="while not os.path.exists(folder + '/go'): time.sleep(0.02)\n")
    pod = start()
    until(lambda: callee.events() == ["claimed"], "the job to run")
    callee.meddle = lambda _: UNKNOWN
    (pod.folder / "go").touch()
    assert pod.wait() == 0
    assert "the service has not known it for 3 s" in pod.log
