from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from service import limits
from service.errors import LoadFailed
from service.launchers import Life
from tests.integration.launcher.conftest import Bench
from tests.waiting import until

LINES = {
    "no JSON": b"{not json",
    "no object": b"[1, 2]",
    "no event": b'{"at": "x"}',
    "an event that is a list": b'{"event": [], "at": "x"}',
    "a time that is a number": b'{"event": "started", "at": 5}',
    "bytes that are no text": b"\xff\xfe\x00",
    "endless nesting": b"[" * 100_000,
    "a number of ten thousand digits": b'{"event": "started", "at": "x", "n": ' + b"9" * 10_000 + b"}",
    "a line over the limit": b'{"event": "started", "at": "x", "t": "' + b"x" * limits.EVENT_BYTES + b'"}',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_bad_line_becomes_a_warning_and_the_next_one_is_read(bench: Bench, line: bytes) -> None:
    job = bench.start(
        f"""
        with open(folder + "/events.jsonl", "ab") as file:
            file.write({line!r} + b"\\n")
    """
        if len(line) < 20_000
        else f"""
        line = {line[:40]!r} + {line[40:41]!r} * {len(line) - 42} + {line[-2:]!r}
        with open(folder + "/events.jsonl", "ab") as file:
            file.write(line + b"\\n")
    """
    )
    told = bench.follow(job)
    assert told.kinds == ["claimed", "warning", "finished"]
    assert "skipped" in told.events[1]["text"]


def test_numbers_that_are_no_json_become_null(bench: Bench) -> None:
    job = bench.start("""
        with open(folder + "/events.jsonl", "a") as file:
            file.write('{"event": "step.finished", "at": "x", "results": {"loss": NaN, "gain": -Infinity}}\\n')
    """)
    assert bench.follow(job).events[1]["results"] == {"loss": None, "gain": None}


def test_a_line_torn_by_a_kill_is_dropped(bench: Bench) -> None:
    job = bench.start("""
        import os, signal
        with open(folder + "/events.jsonl", "a") as file:
            file.write('{"event": "started", "at"')
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    told = bench.follow(job)
    assert told.kinds == ["claimed"]
    assert told.end.life is Life.GONE


def test_a_line_without_end_does_not_hold_the_launcher(bench: Bench) -> None:
    job = bench.start("""
        with open(folder + "/events.jsonl", "a") as file:
            for _ in range(40):
                file.write("x" * 100_000)
    """)
    assert bench.follow(job).end.life is Life.GONE


def test_of_an_endless_event_file_the_beginning_and_the_end_are_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RUN_EVENTS_BYTES", 64 * 1024)
    monkeypatch.setattr(limits, "EVENT_BYTES", 16 * 1024)
    job = bench.start("""
        for number in range(20_000):
            with open(folder + "/events.jsonl", "a") as file:
                file.write('{"event": "noise", "at": "x", "number": %d}\\n' % number)
    """)
    until(lambda: bench.launcher._folder(job).ended, "the end of the job")
    told = bench.follow(job)
    assert told.kinds[0] == "claimed"
    assert told.kinds[-1] == "finished"
    assert len(told.events) < 10_000


INSTEAD = {
    "a link to a secret": "os.symlink(secret, name)",
    "a hard link to a secret": "os.link(secret, name)",
    "a FIFO": "os.mkfifo(name)",
    "a folder": "os.mkdir(name)",
    "a device": "os.symlink('/dev/zero', name)",
}


@pytest.mark.parametrize("put", INSTEAD.values(), ids=INSTEAD.keys())
@pytest.mark.parametrize("name", ["events.jsonl", "result.json"])
def test_nothing_else_is_read_in_place_of_a_file(bench: Bench, ground: Path, name: str, put: str) -> None:
    secret = ground / "secret"
    secret.write_text(json.dumps({"event": "secret", "at": "x"}) + "\n")
    secret.chmod(0o644)
    job = bench.start(f"""
        import os
        name, secret = folder + "/{name}", {str(secret)!r}
        if os.path.exists(name):
            os.unlink(name)
        try:
            {put}
        except PermissionError:  # the kernel may guard hard links
            os.mkdir(name)
    """)
    told = bench.follow(job)
    if bench.launcher._user is None and "os.link" in put:
        return  # its own user's file: there is nothing to protect it from
    assert "secret" not in told.kinds
    with pytest.raises(LoadFailed):
        bench.launcher.result(job)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "null"])
def test_a_result_that_is_no_object_fails_the_load(bench: Bench, text: str) -> None:
    job = bench.start(f"open(folder + '/result.json', 'w').write({text[:2]!r} * {max(1, len(text) // 2)})")
    bench.follow(job)
    with pytest.raises(LoadFailed, match=r"no JSON|no object"):
        bench.launcher.result(job)


def test_a_result_over_the_cap_fails_the_load(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOAD_RESULT_BYTES", 1000)
    job = bench.start("open(folder + '/result.json', 'w').write('{}' + ' ' * 1000)")
    bench.follow(job)
    with pytest.raises(LoadFailed, match="larger than 1000"):
        bench.launcher.result(job)


def test_a_result_is_read(bench: Bench) -> None:
    job = bench.start("open(folder + '/result.json', 'w').write('{\"name\": \"fraud\"}')")
    bench.follow(job)
    assert bench.launcher.result(job) == {"name": "fraud"}


def test_a_job_that_removes_its_own_folder_ends(bench: Bench) -> None:
    job = bench.start(
        "import os, shutil\nfor name in os.listdir(folder):\n    shutil.rmtree(folder + '/' + name, True) or 0"
    )
    assert bench.follow(job).end.life is Life.GONE
    job = bench.start(
        "import os\nfor name in ('alive', 'claimed', 'log', 'events.jsonl'):\n    os.unlink(folder + '/' + name)"
    )
    assert bench.follow(job).end.life is Life.GONE


def test_cleaning_follows_no_link_and_opens_locked_folders(bench: Bench, ground: Path) -> None:
    keep = ground / "keep"
    keep.mkdir()
    (keep / "file").write_text("stays")
    job = bench.start(f"""
        import os
        os.symlink({str(keep)!r}, folder + "/home/link")
        os.symlink({str(keep)!r}, source + "/link")
        os.makedirs(folder + "/tmp/locked/inner")
        os.chmod(folder + "/tmp/locked", 0)
    """)
    bench.follow(job)
    bench.launcher.clean(job)
    assert (keep / "file").read_text() == "stays"
    assert os.listdir(bench.folder(job)) == ["artifacts"]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A", "a" * 64, ".warm", "a\n"])
def test_an_id_that_is_no_file_name_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(Exception, match="not a job id"):
        bench.launcher.logs(name)
