from __future__ import annotations

from service import limits
from service.launchers import EndReason, LogChunk
from tests.integration.launcher.conftest import Bench
from tests.waiting import until


def test_a_log_is_followed_while_the_job_runs(bench: Bench) -> None:
    job = bench.start("""
        import os, time
        print("first")
        while not os.path.exists(folder + "/go"):
            time.sleep(0.01)
        print("second")
    """)
    until(lambda: bench.launcher.logs(job).text.endswith("\n"), "the first line")
    first = bench.launcher.logs(job)
    assert (first.text, first.complete) == ("first\n", False)
    (bench.folder(job) / "go").touch()
    bench.follow(job)
    second = bench.launcher.logs(job, first.next_offset)
    assert (second.text, second.complete) == ("second\n", True)
    assert bench.launcher.logs(job, second.next_offset).text == ""


def test_a_job_that_prints_a_hundred_megabytes_runs_on_and_its_log_stays_small(bench: Bench) -> None:
    job = bench.start("""
        import sys
        for _ in range(100):
            sys.stdout.write("x" * 1_000_000)
        events.emit("started")
    """)
    told = bench.follow(job)
    assert told.kinds == ["claimed", "started", "finished"]
    assert (told.end.ended, told.end.exit_code) == (EndReason.EXITED, 0)
    log = bench.folder(job).parent / "log"
    assert limits.RUN_LOG_BYTES <= log.stat().st_size < limits.RUN_LOG_BYTES + 1000
    end = bench.launcher.logs(job, limits.RUN_LOG_BYTES)
    assert "the log ends here" in end.text
    assert f"{100_000_000 - limits.RUN_LOG_BYTES} more bytes were printed and dropped" in end.text
    assert end.complete


def test_a_chunk_is_small_and_cuts_no_character(bench: Bench) -> None:
    job = bench.start("print('€' * 200_000)")
    bench.follow(job)
    chunks: list[LogChunk] = []
    offset = 0
    while not chunks or not chunks[-1].complete:
        chunks.append(bench.launcher.logs(job, offset))
        offset = chunks[-1].next_offset
    assert len(chunks) == 3
    assert "".join(chunk.text for chunk in chunks) == "€" * 200_000 + "\n"


def test_bytes_that_are_no_text_are_shown_as_such(bench: Bench) -> None:
    job = bench.start("import sys\nsys.stdout.buffer.write(b'a\\xff\\xe2\\x82b\\n\\xe2')")
    bench.follow(job)
    assert bench.text(job) == "a\ufffd\ufffdb\n\ufffd"


def test_output_and_errors_come_in_their_order(bench: Bench) -> None:
    job = bench.start("import sys\nfor n in range(5):\n    print(n)\n    print(n, file=sys.stderr)")
    bench.follow(job)
    assert bench.text(job).split() == ["0", "0", "1", "1", "2", "2", "3", "3", "4", "4"]


def test_there_is_no_log_of_a_job_that_never_was(bench: Bench) -> None:
    chunk = bench.launcher.logs("never")
    assert (chunk.text, chunk.next_offset, chunk.complete) == ("", 0, False)
