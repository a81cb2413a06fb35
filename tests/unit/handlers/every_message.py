"""A message of every event, made as the service makes it: as it is on a good day, as an attacker writes it, and far too long.

They are made once: a test of one event would otherwise make all the others too.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from handlers import Message
from service.domain import links, messages
from service.domain.events import Topic
from service.domain.log_tail import log_tail
from service.domain.messages import CommitFacts, Content, RunFacts, Where
from service.domain.planned import ScheduleSpec
from service.domain.runs import TOPICS
from service.domain.states import RunState
from service.domain.steps import Step, StepState
from service.notifier.outbox import message_of_content

REPOSITORY = "https://git.example.com/ml/fraud.git"
SHA, BASE = "4f1c2ab9d07e55f1a3c9d2b8e6f0a1b2c3d4e5f6", "9d07e55f1a3c9d2b8e6f0a1b2c3d4e5f64f1c2ab"
_STATES = {topic: state for state, topic in TOPICS.items() if state is not RunState.SUPERSEDED}
_STATES |= {
    Topic.RUN_QUEUED: RunState.QUEUED,
    Topic.RUN_STARTED: RunState.RUNNING,
    Topic.RUN_PROGRESS: RunState.RUNNING,
}

HOSTILE = (
    "<!channel> <!here> @channel <@U012> <https://evil.example|https://bank.example> *bold* _it_ ~no~ `x` ```\n> q\n"
    ":white_check_mark: &amp; <script>\x00\x1b[31m\u202egnp.exe %s {x} "
)


@cache
def realistic() -> dict[Topic, Message]:
    return _every(_Words())


@cache
def hostile() -> dict[Topic, Message]:
    return _every(_Words(HOSTILE))


@cache
def oversized() -> dict[Topic, Message]:
    return _every(_Words("\N{PILE OF POO}<&>" * 2000, many=400))


class _Words:
    """Every text of a message: ours, or with somebody's `added`."""

    def __init__(self, added: str = "", many: int = 3) -> None:
        self.added = added
        self.many = many
        self._on = bool(added)

    def __call__(self, text: str) -> str:
        return f"{self.added}{text}" if self._on else text


def run_facts(topic: Topic, words: _Words | None = None, **also: Any) -> RunFacts:
    words = words or _Words()
    state = _STATES[topic]
    began = topic is not Topic.RUN_QUEUED
    ended = state not in (RunState.QUEUED, RunState.RUNNING)
    failed = ended and state is not RunState.SUCCEEDED
    last = {
        RunState.RUNNING: StepState.RUNNING,
        RunState.SUCCEEDED: StepState.SUCCEEDED,
        RunState.FAILED: StepState.FAILED,
    }.get(state, StepState.UNFINISHED)
    steps = [Step(words("generate"), StepState.SUCCEEDED, 2.4), Step(words("train"), last, 184.2 if ended else None)]
    facts: dict[str, Any] = {
        "id": "01k9zr3q5v8n2m4p6s7t9w0x1y",
        "workflow": words("main"),
        "state": state,
        "reason": words({Topic.RUN_QUEUED: "pushed", Topic.RUN_CANCELLED: "cancelled"}.get(topic, "")),
        "started_at": 1000.0 if began else None,
        "ended_at": 1187.2 if ended else None,
        "steps": steps * (words.many // 3) if began and topic is not Topic.RUN_STARTED else [],
    }
    if state is RunState.SUCCEEDED:
        results = {"auc": 0.9312, "f1": 0.871, "rows": 50_000, "model": words("gradient-boosting"), "threshold": 0.42}
        facts["results"] = {words("train"): results, words("evaluate"): {"passed": True, "drift": 0.03}} | {
            words(f"r{n}"): n for n in range(words.many if words.many > 3 else 0)
        }
    if failed:
        error = {
            "type": "ValueError",
            "message": words("no rows left after the filter amount > 10000"),
            "traceback": words(TRACEBACK) * (words.many // 3),
            "step": words("train"),
        }
        facts["error"] = error if state is RunState.FAILED else {"type": "Lost", "message": words("the runner ended")}
        facts["log_tail"] = log_tail("".join(f"{words(line)}\n" for line in LOG.splitlines() * (words.many // 3)))
    return RunFacts(**facts | also)


def where(words: _Words | None = None) -> Where:
    words = words or _Words()
    commit = CommitFacts(
        sha=SHA,
        author=words("Ada Lovelace"),
        subject=words("Filter out small amounts before training"),
        url=links.commit_url("github", REPOSITORY, SHA),
    )
    shown = {"commit": commit.url, "diff": links.diff_url("github", REPOSITORY, BASE, SHA)}
    ours = {"run": "https://gitops.example.com/api/v1/runs/01k9zr3q5v", "evil": "javascript:alert(1)"}
    return Where(
        project=words("fraud"),
        repository="ml-fraud",
        ref="refs/heads/" + words("main"),
        commit=commit,
        links={name: url for name, url in (ours | shown).items() if url},
    )


def message(content: Content, id_: str = "01k9zr3q5w0000000000000001") -> Message:
    """As the handler gets it: through the outbox and back."""
    plain = msgspec.json.decode(msgspec.json.encode(message_of_content(content, 1_763_980_000.0)))
    return msgspec.convert({**plain, "id": id_}, Message)


def _every(words: _Words) -> dict[Topic, Message]:
    at = where(words)
    spec = ScheduleSpec(name="nightly", workflow=words("main"), cron="0 2 * * 1-5", timezone="Europe/Berlin")
    later = ScheduleSpec(name="nightly", workflow=words("main"), cron="30 3 * * 1-5", timezone="Europe/Berlin")
    error = {
        "code": "load-failed",
        "what": words("workflow.py did not compile: NameError: name 'trian' is not defined"),
        "mend": words("Correct workflow.py, line 12"),
        "detail": words(TRACEBACK),
    }
    sync = "01k9zr3q5sync0000000000001"
    reason = words("a newer commit came")
    made = {
        Topic.SYNC_STARTED: messages.of_sync(Topic.SYNC_STARTED, at, sync=sync),
        Topic.SYNC_SUCCEEDED: messages.of_sync(Topic.SYNC_SUCCEEDED, at, sync=sync, revision="8d1f0c2ab9d07e55f1a3"),
        Topic.SYNC_FAILED: messages.of_sync(Topic.SYNC_FAILED, at, sync=sync, error=error),
        Topic.SYNC_SUPERSEDED: messages.of_sync(Topic.SYNC_SUPERSEDED, at, sync=sync, reason=reason),
        Topic.CONFIG_SAVED: messages.of_sync(Topic.CONFIG_SAVED, at, sync=sync, revision="8d1f0c2ab9d07e55f1a3"),
        Topic.DELIVERY_REJECTED: messages.of_delivery(
            Where(repository="ml-fraud"), hook=words("ml-fraud"), reason=words("the signature is of another secret")
        ),
        **{topic: messages.of_run(topic, at, run_facts(topic, words)) for topic in Topic if topic.startswith("run.")},
        Topic.SCHEDULE_CREATED: _schedule(Topic.SCHEDULE_CREATED, at, words, after=spec),
        Topic.SCHEDULE_CHANGED: _schedule(Topic.SCHEDULE_CHANGED, at, words, before=spec, after=later),
        Topic.SCHEDULE_REMOVED: _schedule(Topic.SCHEDULE_REMOVED, at, words, before=spec),
        Topic.SCHEDULE_MISSED: messages.of_missed(
            at,
            name=words("nightly"),
            schedule="s1",
            due=[words(f"2026-11-{day:02}T01:00:00+00:00") for day in range(1, 2 + words.many)],
        ),
        Topic.CONFIG_ROLLED_BACK: messages.of_project(
            Topic.CONFIG_ROLLED_BACK, at, occurrence="a1", reason=words("the new model is worse"), actor=words("ada")
        ),
        Topic.PROJECT_SUSPENDED: messages.of_project(
            Topic.PROJECT_SUSPENDED, at, occurrence="a2", reason=words("month end"), actor=words("ada")
        ),
        Topic.DRIFT_DETECTED: messages.of_drift(Topic.DRIFT_DETECTED, at, occurrence="d1", paths=_paths(words)),
        Topic.DRIFT_HEALED: messages.of_drift(Topic.DRIFT_HEALED, at, occurrence="d1", paths=_paths(words)),
        Topic.PREVIEW_READY: messages.of_preview(at, lines=[words(one) for one in PLAN * (words.many // 3)]),
    }
    return {topic: message(content) for topic, content in made.items()}


def _schedule(topic: Topic, at: Where, words: _Words, **specs: ScheduleSpec) -> Content:
    return messages.of_schedule(topic, at, name=words("nightly"), occurrence="s", reason=words("as declared"), **specs)


def _paths(words: _Words) -> list[str]:
    return [words(one) for one in ["functions.train.spec.image", "project.spec.params.rows"] * words.many]


PLAN = [
    "save the configuration (3 changes)",
    "~ functions.train.spec.image  mlrun/mlrun:1.9.1 → mlrun/mlrun:1.9.2",
    "~ schedule nightly  0 2 * * 1-5 → 30 3 * * 1-5",
    "run main (pushed)",
]
TRACEBACK = """Traceback (most recent call last):
  File "src/train.py", line 31, in train
    model.fit(features[mask], labels[mask])
  File "src/data.py", line 12, in checked
    raise ValueError(f"no rows left after the filter {condition}")
ValueError: no rows left after the filter amount > 10000
"""
LOG = """\
> 2026-11-24 02:00:03,120 [info] Storing function: {"name":"train","uid":"a1b2c3"}
read 50000 rows from data.csv in 0.4 s
filter: amount > 10000
rows left: 0
> 2026-11-24 02:00:04,802 [error] Execution error, ValueError: no rows left after the filter amount > 10000
"""
