"""A push as people see it in Slack: one message a sync, one a run, edited while steps begin and end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.launchers import JobKind
from tests.integration.reconciler.stage import Stage, gitops_yaml, project_yaml
from tests.peers.slack import Message, SlackPeer
from tests.peers.slack.content import texts_of
from tests.waiting import until

PUBLIC = "https://gitops.example.com"


@pytest.fixture
def peer() -> Iterator[SlackPeer]:
    with SlackPeer(paced=False, channels=("#ml", "#own")) as server:
        yield server
        assert server.refused == []


@pytest.fixture
def stage(tmp_path: Path, peer: SlackPeer) -> Iterator[Stage]:
    slack = {"kind": "slack", "token": peer.token, "api_url": peer.api_url, "allow_private": True}
    with Stage(tmp_path) as made:
        made.launcher.runs_end = False
        made.restart(
            handlers={
                "team": {**slack, "channel": peer.channel("#ml").id},
                "own": {**slack, "channel": peer.channel("#own").id},
            },
            notify=[{"to": "team", "on": ["run.*", "sync.*", "config.*"]}],
            server={"public_url": PUBLIC},
        )
        yield made


def words(message: Message) -> str:
    return "".join(texts_of(message.blocks))


def of_runs(peer: SlackPeer, name: str = "#ml") -> list[Message]:
    return [message for message in peer.messages(name) if "main" in message.blocks[0]["text"]["text"]]


def shows(peer: SlackPeer, *expected: str) -> Message:
    """The run's one message, as soon as it says all of this."""

    def found() -> Message | None:
        messages = of_runs(peer)
        assert len(messages) <= 1
        return next((one for one in messages if all(word in words(one) for word in expected)), None)

    message: Message = until(found, f"Slack to show {expected}: {[words(one) for one in of_runs(peer)]}")
    return message


def running(stage: Stage) -> str:
    [run] = until(lambda: stage.launcher.alive(JobKind.RUN), "the run")
    return str(run)


def buttons(message: Message) -> dict[str, str]:
    actions = [block for block in message.blocks if block["type"] == "actions"]
    return {one["action_id"]: one["url"] for block in actions for one in block["elements"]}


def test_a_run_is_one_message_that_follows_its_steps(stage: Stage, peer: SlackPeer) -> None:
    first = stage.push({"project.yaml": project_yaml("fraud")}, message="First model")
    stage.launcher.finish(running(stage))
    shows(peer, "succeeded", "First model")
    stage.settle(but=())
    peer.channel().everything.clear()

    second = stage.push({"train.py": "rows = 50\n"}, message="Better <!channel> *model*")
    run = running(stage)
    message = shows(peer, "running", "Better <!channel> *model*", second[:7])
    stage.launcher.say(run, "step.started", step="train", uid="1")
    shows(peer, "▶️ train")
    stage.launcher.say(run, "step.finished", step="train", uid="1", state="succeeded", results={"auc": 0.93})
    shows(peer, "✅ train")
    stage.launcher.finish(run, results={"train": {"auc": 0.93}})
    done = shows(peer, "succeeded", "train.auc", "0.93")
    assert done.ts == message.ts
    page = stage.forge.repositories["fraud"].url.removesuffix(".git")
    assert buttons(done) == {
        "run": f"{PUBLIC}/api/v1/runs/{run}",
        "log": f"{PUBLIC}/api/v1/runs/{run}/log",
        "diff": f"{page}/compare/{first}...{second}",
        "commit": f"{page}/commit/{second}",
    }
    [thread] = until(lambda: peer.channel().thread(done.ts), "the thread")
    assert "train.auc" in words(thread)


def test_a_run_that_fails_tells_why_and_where_its_log_ended(stage: Stage, peer: SlackPeer) -> None:
    stage.launcher.prints = "one\ndb_password=hunter2\nlast words\n"
    stage.push({"project.yaml": project_yaml("fraud")})
    run = running(stage)
    stage.launcher.say(run, "step.started", step="train", uid="1")
    error = {"type": "ValueError", "message": "no rows", "traceback": "File train.py, line 3", "step": "train"}
    stage.launcher.finish(run, "failed", error=error)
    failed = shows(peer, "failed", "train: ValueError: no rows", "⏹️ train")
    [thread] = until(lambda: peer.channel().thread(failed.ts), "the thread")
    assert "File train.py, line 3" in words(thread)
    assert "last words" in words(thread)
    assert "hunter2" not in words(thread)


def test_a_sync_is_one_message_too(stage: Stage, peer: SlackPeer) -> None:
    stage.push({"project.yaml": project_yaml("fraud")})
    running(stage)

    def synced() -> Any:
        return [one for one in peer.messages() if "fraud is in sync" in one.blocks[0]["text"]["text"]]

    [message] = until(synced, "the sync")
    assert len(message.versions) == 2, "began, saved, in sync"
    stage.push({"project.yaml": "kind: project\nmetadata: {name: fraud}\nspec: {raises: no such file}\n"})

    def failed() -> Any:
        return [one for one in peer.messages() if "sync failed" in one.blocks[0]["text"]["text"]]

    [broken] = until(failed, "the failure")
    assert "no such file" in words(broken)
    [thread] = until(lambda: peer.channel().thread(broken.ts), "the thread")
    assert "Traceback of the user" in words(thread)


def test_a_projects_own_rule_says_of_what_and_of_which_branch_it_hears(stage: Stage, peer: SlackPeer) -> None:
    own = {"to": "own", "on": ["run.*"], "severity": "error", "refs": ["main"]}
    declared = gitops_yaml({"path": ".", "name": "fraud", "notify": [own]})
    stage.push({"project.yaml": project_yaml("fraud"), ".gitops.yaml": declared})
    stage.launcher.finish(running(stage))
    shows(peer, "succeeded")
    peer.channel().everything.clear()
    stage.push({"x": "1"})
    stage.launcher.finish(running(stage), "failed", error={"type": "E", "message": "bad"})
    shows(peer, "failed")
    [heard] = until(lambda: peer.messages("#own"), "the project's own channel")
    assert heard.blocks[0]["text"]["text"].endswith("failed")
    assert heard.versions == []


def test_asked_for_a_test_message_slack_gets_one(stage: Stage, peer: SlackPeer) -> None:
    stage.ask("/handlers/team/test", status=200)
    [message] = peer.messages()
    assert "a test message" in words(message)
    peer.workspace.revoked = "token_revoked"
    answer = stage.http.post("/api/v1/handlers/team/test", json={})
    assert answer.status_code == 502
    assert "token_revoked" in answer.text
    assert "token_file" in answer.text
    peer.workspace.revoked = None
    peer.refused.clear()
