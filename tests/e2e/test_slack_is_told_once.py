"""The whole service, a real push and a real run: in Slack it is one message that ends well, whatever dies between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.e2e.stage import LONG_S, WORKFLOW
from tests.peers.forge import SECRET, deliver, push_payload, signed
from tests.peers.git_http import GitServer, WorkingCopy
from tests.peers.service_process import ServiceProcess, wait_for
from tests.peers.slack import Message, SlackPeer
from tests.peers.slack.content import texts_of

pytestmark = [pytest.mark.runner, pytest.mark.slow]

PROJECT = """\
kind: project
metadata: {name: fraud}
spec:
  params: {factor: 2}
  functions: [{name: double, kind: job, image: mlrun/mlrun, url: double.py, handler: run}]
  workflows: [{name: main, path: workflow.py, engine: kfp}]
"""
GOOD = "def run(context, factor: int):\n    context.log_result('product', 21 * factor)\n"
BAD = "def run(context, factor: int):\n    print('reading rows')\n    raise ValueError('no rows today')\n"


class Team:
    """A repository, a service that knows it, and the channel that hears of it."""

    def __init__(self, folder: Path, runs: Path) -> None:
        self.folder = folder
        self.runs = runs
        self.armed = folder / "armed"
        self.peer = SlackPeer()
        self.forge = GitServer(folder / "forge")
        self.tip: str | None = None

    def __enter__(self) -> Self:
        self.peer.__enter__()
        self.forge.start()
        repository = self.forge.create("fraud")
        self.work: WorkingCopy = repository.clone(self.folder / "work")
        token = self.folder / "token"
        token.write_text(f"{self.peer.token}\n")
        slack = {
            "kind": "slack", "token_file": str(token), "channel": "#ml", "api_url": self.peer.api_url,
            "allow_private": True,
        }  # fmt: skip
        self.service = ServiceProcess(
            self.folder / "service",
            {
                "repositories": [{"name": "fraud", "url": repository.url, "webhook_secrets": [SECRET], "poll": 0}],
                "handlers": {"team": slack},
                "notify": [{"to": "team", "on": ["run.*"]}],
                "launcher": {"runs_dir": str(self.runs)},
            },
            environment={"GITOPS_CRASH_FILE": str(self.armed)},
        )
        self.service.start().wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.close()
        self.forge.stop()
        self.peer.__exit__()

    def push(self, step: str) -> None:
        before, self.tip = (
            self.tip,
            self.work.commit({"project.yaml": PROJECT, "workflow.py": WORKFLOW, "double.py": step}, "Double it"),
        )
        self.work.push()
        answer = deliver(self.service.http, "fraud", *signed(push_payload("ada/fraud", before, self.tip)))
        assert answer is not None
        assert answer.status_code == 202

    def message(self, ended: str) -> Message:
        """The one message of the channel, once it says so and has its thread."""

        def there() -> bool:
            self.service.keep_alive()
            return any(ended in head(one) and self.thread(one) for one in self.peer.messages())

        wait_for(there, LONG_S, lambda: f"{ended}: {[head(m) for m in self.peer.messages()]}\n{self.service.tail()}")
        self.settle()
        [message] = self.peer.messages()
        return message

    def thread(self, message: Message) -> list[Message]:
        return self.peer.channel().thread(message.ts)

    def settle(self) -> None:
        """Until nothing waits to be sent."""

        def settled() -> bool:
            return not self.service.all("/notifications", state="pending")

        wait_for(settled, LONG_S, lambda: f"the outbox to be empty\n{self.service.tail()}")


def head(message: Message) -> str:
    return str(message.blocks[0]["text"]["text"])


def words(value: Any) -> str:
    return "".join(texts_of(value.blocks))


@contextmanager
def open_folder() -> Iterator[Path]:
    """Where runners with a user of their own get at it."""
    folder = Path(tempfile.mkdtemp(prefix="gitops-slack-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def runs() -> Iterator[Path]:
    """One folder of runs for all services, of which each finds the warm runner that the one before it has left."""
    with open_folder() as folder:
        yield folder / "runs"


@pytest.fixture
def team(runs: Path) -> Iterator[Team]:
    with open_folder() as folder, Team(folder, runs) as made:
        yield made


def test_a_push_ends_as_one_message_that_succeeded_with_its_results_in_the_thread(team: Team) -> None:
    team.push(GOOD)
    message = team.message("fraud · main: succeeded")
    assert "Double it" in words(message)
    assert "✅ double" in words(message)
    assert message.versions, "it was edited while the run went on"
    [thread] = team.thread(message)
    assert "product" in words(thread)
    assert "42" in words(thread)
    assert team.peer.refused == []
    assert team.peer.token not in team.service.tail(1_000_000)


def test_a_run_that_fails_has_its_traceback_and_the_logs_end_in_the_thread(team: Team) -> None:
    team.push(BAD)
    message = team.message("fraud · main: failed")
    assert "no rows today" in words(message)
    [thread] = team.thread(message)
    assert 'File "double.py", line 3' in words(thread)
    assert "reading rows" in words(thread)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("point", "passing"),
    [("notifier.before-record", 1), ("notifier.before-record", 2), ("notifier.before-send", 2)],
)
def test_a_kill_between_slacks_answer_and_our_note_is_not_seen_in_the_channel(
    team: Team, point: str, passing: int
) -> None:
    team.armed.write_text(f"{point}:{passing}")
    team.push(GOOD)
    wait_for(lambda: not team.armed.exists(), LONG_S, lambda: f"the kill\n{team.service.tail()}")
    message = team.message("fraud · main: succeeded")
    assert len(team.thread(message)) == 1
    assert [one for one in team.peer.channel().everything if not one.is_reply] == [message]
