from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from service.launchers import EndReason, JobKind
from service.store import jobs
from tests.peers.pod import Callee, Pod
from tests.waiting import until

Start = Callable[..., Pod]
RAN = "open(os.environ['HOME'] + '/ran', 'a').write('x')\n"


def ran(*pods: Pod) -> int:
    """How often the runner was started in these pods."""
    marks = [pod.base / "home" / "ran" for pod in pods]
    return sum(len(mark.read_text()) for mark in marks if mark.exists())


def test_what_the_runner_writes_down_is_in_the_store_once_and_in_order(callee: Callee, start: Start) -> None:
    callee.add(script=RAN + "for n in range(3): emit('step.started', step=str(n))\n")
    pod = start()
    assert pod.wait() == 0, pod.log
    assert callee.events() == ["claimed", "step.started", "step.started", "step.started", "finished"]
    assert [line["step"] for line in callee.lines()[1:4]] == ["0", "1", "2"]
    assert callee.lines()[0]["python"].startswith("3.")
    assert ran(pod) == 1


def test_the_runner_finds_the_files_of_the_commit(callee: Callee, start: Start) -> None:
    callee.add(script="emit('seen', files=[open(n).read() for n in ('a.txt', 'folder/b.txt')], source=job['source'])\n")
    pod = start()
    assert pod.wait() == 0, pod.log
    assert callee.lines()[1]["files"] == ["a", "b"]
    assert callee.lines()[1]["source"] == str(pod.base / "work" / "source")


def test_of_two_pods_of_one_job_one_runs_it(callee: Callee, start: Start) -> None:
    callee.add(script=RAN + "time.sleep(1)\n")
    pods = [start(), start()]
    assert [pod.wait() for pod in pods] == [0, 0]
    assert ran(*pods) == 1
    assert callee.events() == ["claimed", "finished"]


def test_a_pod_that_was_killed_is_not_begun_again(callee: Callee, start: Start) -> None:
    callee.add(script=RAN + "emit('step.started', step='a')\ntime.sleep(60)\n")
    first = start()
    until(lambda: "step.started" in callee.events(), "the first to run")
    first.close()
    second = start(base=first.base)
    assert second.wait() == 0
    assert ran(first) == 1
    assert callee.events() == ["claimed", "step.started"]


def test_a_claim_whose_answer_was_lost_is_still_its_claim(callee: Callee, start: Start) -> None:
    callee.add(script=RAN)
    lost = iter([0, 0])
    callee.cut = lambda what: next(lost, None) if what == "claim" else None
    pod = start()
    assert pod.wait() == 0, pod.log
    assert callee.requests.count("claim") == 3
    assert ran(pod) == 1
    assert callee.events() == ["claimed", "finished"]


def test_answers_that_are_lost_double_no_line(callee: Callee, start: Start) -> None:
    callee.add(script="for n in range(40): emit('step.started', step=str(n)); time.sleep(0.02)\n")
    lost = iter([0, 0, None, 0, 5])
    callee.cut = lambda what: next(lost, None) if what == "events" else None
    pod = start()
    assert pod.wait() == 0, pod.log
    assert [line["step"] for line in callee.lines()[1:-1]] == [str(n) for n in range(40)]


@pytest.mark.parametrize("answer", [b"", b"{", b"null", b"{}", b"<html>", b'{"lines": "1"}'])
def test_half_an_answer_or_a_proxys_is_none(callee: Callee, start: Start, answer: bytes) -> None:
    callee.add(script=RAN + "emit('step.started', step='a')\n")
    strange = {"job": 1, "claim": 1, "events": 2}

    def meddle(what: str) -> tuple[str, bytes] | None:
        strange[what] = strange.get(what, 0) - 1
        return ("200 OK", answer) if strange[what] >= 0 else None

    callee.meddle = meddle
    pod = start()
    assert pod.wait() == 0, pod.log
    assert ran(pod) == 1
    assert callee.events() == ["claimed", "step.started", "finished"]


def test_a_service_that_is_away_while_a_job_runs_and_ends_misses_nothing(callee: Callee, start: Start) -> None:
    callee.add(script="emit('step.started', step='a')\nwhile not os.path.exists(folder + '/go'): time.sleep(0.02)\n")
    pod = start()
    until(lambda: "step.started" in callee.events(), "the job to run")
    callee.stop()
    (pod.folder / "go").touch()
    until(lambda: "finished" in (pod.folder / "events.jsonl").read_text(), "the runner to finish")
    assert pod.process.poll() is None
    callee.start()
    assert pod.wait() == 0, pod.log
    assert callee.events() == ["claimed", "step.started", "finished"]


def test_a_pod_waits_for_a_service_that_is_not_there_yet(callee: Callee, start: Start) -> None:
    callee.add(script=RAN)
    callee.meddle = lambda _: ("503 Service Unavailable", b"")
    pod = start()
    until(lambda: callee.requests.count("job") >= 3, "it to ask again")
    callee.meddle = lambda _: None
    assert pod.wait() == 0, pod.log
    assert ran(pod) == 1


def test_what_the_service_lost_with_its_disk_is_told_again(callee: Callee, start: Start) -> None:
    callee.add(
        script="for n in range(3): emit('step.started', step=str(n))\n"
        "while not os.path.exists(folder + '/go'): time.sleep(0.02)\n"
    )
    pod = start()
    until(lambda: len(callee.events()) == 4, "the job to run")
    whole = callee.job()

    def restore(conn: object) -> None:
        """As it was before the job was claimed."""
        conn.exec_driver_sql("DELETE FROM job_lines")  # type: ignore[attr-defined]
        conn.exec_driver_sql("UPDATE jobs SET claimer = NULL, claimed_at = NULL, lines = 0")  # type: ignore[attr-defined]

    callee.store.write(restore)
    until(lambda: callee.job().claimer == whole.claimer, "it to claim again")
    (pod.folder / "go").touch()
    assert pod.wait() == 0, pod.log
    assert [line.get("step") for line in callee.lines()] == [None, "0", "1", "2", None]


def test_a_result_is_there_before_the_load_has_finished(callee: Callee, start: Start) -> None:
    callee.add(kind=JobKind.LOAD, script="open(folder + '/result.json', 'w').write('{\"name\": \"demo\"}')\n")
    found: list[bytes | None] = []

    def result() -> bytes | None:
        with callee.store.read() as conn:
            return jobs.result(conn, "one")

    lost = iter([0])
    callee.cut = lambda what: next(lost, None) if what == "result" else None
    callee.meddle = lambda what: found.append(result()) if what == "events" else None
    pod = start()
    assert pod.wait() == 0, pod.log
    assert result() == b'{"name": "demo"}'
    assert callee.requests.count("result") == 2
    assert found[-1] == result()


def test_the_runners_exit_code_is_the_pods(callee: Callee, start: Start) -> None:
    callee.add("own", script="sys.exit(7)\n")
    callee.add("signal", script="os.kill(os.getpid(), 9)\n")
    own, killed = start("own"), start("signal")
    assert (own.wait(), killed.wait()) == (7, 137)
    assert "killed (signal 9)" in killed.log


def test_nothing_that_the_runner_started_outlives_it(callee: Callee, start: Start) -> None:
    callee.add(script="import subprocess\np = subprocess.Popen(['sleep', '600'])\nemit('child', child=p.pid)\n")
    pod = start()
    assert pod.wait() == 0, pod.log
    child = callee.lines()[1]["child"]
    until(lambda: not _lives(child), "it to be gone")


def test_without_its_companion_no_runner_goes_on(callee: Callee, start: Start) -> None:
    callee.add(script="emit('began', pid=os.getpid())\ntime.sleep(600)\n")
    pod = start()
    until(lambda: "began" in callee.events(), "the job to run")
    pod.signal(signal.SIGKILL)
    pod.wait()
    until(lambda: not _lives(callee.lines()[1]["pid"]), "the runner to be gone")


def test_a_signal_reaches_the_runner_and_what_it_says_then_is_kept(callee: Callee, start: Start) -> None:
    callee.add(
        script="import signal\n"
        "def end(*_):\n"
        "    emit('step.finished', step='a', state='failed')\n"
        "    sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "emit('step.started', step='a')\n"
        "time.sleep(60)\n"
    )
    pod = start()
    until(lambda: "step.started" in callee.events(), "the job to run")
    pod.signal(signal.SIGTERM)
    assert pod.wait() == 3
    assert callee.events() == ["claimed", "step.started", "step.finished"]


def test_a_runner_that_does_not_listen_is_killed(callee: Callee, start: Start) -> None:
    callee.add(script="import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nemit('deaf')\ntime.sleep(600)\n")
    pod = start()
    until(lambda: "deaf" in callee.events(), "the job to run")
    pod.signal(signal.SIGTERM)
    assert pod.wait() == 137
    assert "killed (signal 9)" not in pod.log  # it was we


def test_a_job_that_is_cancelled_or_given_up_ends_and_its_last_words_are_kept(callee: Callee, start: Start) -> None:
    script = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (emit('heard'), sys.exit(143)))\n"
        "emit('began')\n"
        "time.sleep(600)\n"
    )
    callee.add("cancelled", script=script)
    callee.add("lost", script=script)
    pods = [start("cancelled"), start("lost")]
    until(lambda: "began" in callee.events("cancelled") and "began" in callee.events("lost"), "both to run")
    callee.cancel("cancelled")
    callee.store.write(lambda conn: jobs.end(conn, "lost", EndReason.NODE_LOST, now=1.0))
    assert [pod.wait() for pod in pods] == [143, 143]
    assert callee.events("cancelled") == ["claimed", "began", "heard"]
    assert callee.events("lost") == ["claimed", "began"]


def test_what_was_cancelled_before_it_began_never_begins(callee: Callee, start: Start) -> None:
    callee.add(script=RAN)
    callee.cancel()
    pod = start()
    assert pod.wait() == 0
    assert ran(pod) == 0
    assert callee.events() == []


def test_a_full_store_is_told_later(callee: Callee, start: Start) -> None:
    callee.add(script="emit('step.started', step='a')\n")
    full = iter([True, True])
    callee.meddle = lambda what: (
        ("503 Service Unavailable", b"{}") if what in ("claim", "events") and next(full, False) else None
    )
    pod = start()
    assert pod.wait() == 0, pod.log
    assert callee.events() == ["claimed", "step.started", "finished"]


def test_what_cannot_be_told_in_time_is_said_in_the_log(callee: Callee, start: Start) -> None:
    callee.add(script="emit('step.started', step='a')\n", flush_s=0.5)
    callee.meddle = lambda what: ("503 Service Unavailable", b"{}") if what == "events" else None
    pod = start()
    assert pod.wait() == 0
    assert "does not have all events" in pod.log
    assert callee.events() == ["claimed"]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
