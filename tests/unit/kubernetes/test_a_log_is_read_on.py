"""A log that is asked for again and again, cut anywhere, is in the end what was printed: nothing twice, nothing missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service import limits
from service.launchers.kubernetes.mark import Mark, Reader

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Node:
    """A log as a node has it, and answers with: lines with times, of which several may be the same."""

    def __init__(self, lines: list[tuple[int, bytes]], last: bytes = b"") -> None:
        """Nanoseconds since the line before, and the line; `last` has no end."""
        self.entries: list[tuple[int, bytes]] = []
        now = int(BEGIN.timestamp()) * 10**9
        for after, line in lines:
            now += after
            self.entries.append((now, line + b"\n"))
        if last:
            self.entries.append((now + 1, last))

    @property
    def printed(self) -> bytes:
        return b"".join(line for _, line in self.entries)

    def answer(self, since: str | None, upto: int) -> bytes:
        """As the API does: since a time that is exact to a second."""
        begin = int(datetime.fromisoformat(since).timestamp()) * 10**9 if since else 0
        return b"".join(_stamp(at) + b" " + line for at, line in self.entries[:upto] if at >= begin)


def _stamp(at: int) -> bytes:
    seconds, nano = divmod(at, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nano:09d}Z".encode()


LINES = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 999, 10**6, 10**9, 3 * 10**9]),
        st.binary(max_size=12).map(lambda b: b.replace(b"\n", b".")),
    ),
    max_size=30,
)


@given(LINES, st.binary(max_size=5).map(lambda b: b.replace(b"\n", b".")), st.data())
def test_however_often_it_is_cut(lines, last, data):
    node, mark, kept = Node(lines, last), Mark("pod"), b""
    for _ in range(data.draw(st.integers(0, 5))):
        answer = node.answer(mark.since, data.draw(st.integers(0, len(node.entries))))
        reader = Reader(Mark.read(str(mark), "pod"))
        cut = data.draw(st.integers(0, len(answer)))
        middle = data.draw(st.integers(0, cut))
        for piece in (answer[:middle], answer[middle:cut]):
            kept += reader.feed(piece)
            mark = reader.mark
    reader = Reader(Mark.read(str(mark), "pod"))
    kept += reader.feed(node.answer(mark.since, len(node.entries))) + reader.end()
    assert kept == node.printed


def test_another_pod_of_the_job_is_read_from_its_beginning():
    reader = Reader(Mark("one"))
    reader.feed(_stamp(10**18) + b" a\n")
    assert Mark.read(str(reader.mark), "one") == reader.mark
    assert Mark.read(str(reader.mark), "two") == Mark("two")
    assert Mark.read("", "two").since is None


def test_a_line_that_is_longer_than_is_kept_is_cut_once():
    reader, kept = Reader(Mark("pod")), b""
    kept += reader.feed(_stamp(10**18) + b" ")
    for _ in range(3 * limits.LOG_CHUNK_BYTES // 1000):
        kept += reader.feed(b"x" * 1000)
    kept += reader.feed(b"\n" + _stamp(10**18 + 1) + b" next\n")
    first, second = kept.splitlines()
    assert limits.LOG_CHUNK_BYTES <= len(first) < limits.LOG_CHUNK_BYTES + 2000
    assert first.endswith(b"(this line is longer than is kept)")
    assert second == b"next"


def test_what_the_node_says_itself_is_no_line_of_the_job():
    reader = Reader(Mark("pod"))
    assert reader.feed(b"unable to retrieve container logs for containerd://0123\n") == b""


def test_times_of_other_zones_are_times():
    reader = Reader(Mark("pod"))
    there = (BEGIN + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S").encode()
    assert reader.feed(there + b".5+01:00 x\n") == b"x\n"
    assert reader.mark.time_ns == int(BEGIN.timestamp()) * 10**9 + 5 * 10**8
