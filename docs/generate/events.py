"""events.md: every notification event with a message that the code really makes, about one invented project."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from docs.generate.markdown import json_block, page, table
from handlers import Message
from handlers.webhook import payload
from service import reconciler
from service.domain import links as pages
from service.domain import messages
from service.domain.events import Topic
from service.domain.messages import CommitFacts, Content, RunFacts, Where
from service.domain.planned import ScheduleSpec
from service.domain.states import RunState
from service.domain.steps import Step, StepState

_INTRO = """\
What people and programs are told. A message goes to every [handler](settings.md#handlers-by-kind) whose subscription names its
event, once, and is kept until it left; [notifications](../guide/notifications.md) has subscriptions, retries and order.

The examples are what a `webhook` handler posts: `type` and `timestamp` as Standard Webhooks has them, and in `data` the message.
Keys without a value are null. Secrets are masked before a message is stored.

- `id` is the same at every attempt to send it: a receiver that has seen it may drop it.
- `key` is the deduplication key: equal for messages that say the same, and without a time in it. A handler gets one message a key.
- `severity` is what a subscription's `severity` is compared with: info, warning, error.
- `links` lead to the service, where `server.public_url` says how people reach it (`run`, `log`, `sync`), and to the forge's pages
  of the `commit` and of the `diff` to what was in force before, where the repository's `forge` is one that has such pages.
- `run` has its `steps` as far as they are known, and, where it did not do its work, the end of its log in `log_tail`."""


@dataclass(frozen=True)
class _Event:
    meaning: str
    when: str
    key: str
    make: Callable[[Topic], Content]


_SHA = "3f2a9c51d0e84b7796a1c3d5e7f90b2d4c6e8a0f"
_SYNC, _RUN, _SCHEDULE, _AUDIT = (f"01k0000000000000000000{kind}" for kind in ("sync", "run0", "sche", "audt"))
_URL = "https://gitops.example.com/api/v1"
_FORGE = "https://github.com/ml/fraud.git"
_COMMIT = str(pages.commit_url("github", _FORGE, _SHA))
_PAGES = {
    "commit": _COMMIT,
    "diff": str(pages.diff_url("github", _FORGE, "9d07e55f1a3c9d2b8e6f0a1b2c3d4e5f64f1c2ab", _SHA)),
}
_WHERE = Where(
    project="fraud",
    repository="fraud",
    ref="refs/heads/main",
    commit=CommitFacts(sha=_SHA, author="Ada", subject="Train on 50 rows", url=_COMMIT),
    links={"sync": f"{_URL}/syncs/{_SYNC}", **_PAGES},
)
_REPOSITORY = Where(repository="fraud")
_BEFORE = ScheduleSpec(name="nightly", workflow="main", cron="0 2 * * *", timezone="Europe/Berlin")
_AFTER = ScheduleSpec(name="nightly", workflow="main", cron="30 4 * * *", timezone="Europe/Berlin")
_ERROR = {"type": "ValueError", "message": "no data today", "traceback": 'File "workflow.py", line 2, in pipeline\n'}


def _delivery(_: Topic) -> Content:
    return messages.of_delivery(_REPOSITORY, hook="fraud", reason="the signature is wrong", episode=_SYNC)


def _sync(topic: Topic) -> Content:
    if topic is Topic.SYNC_FAILED:
        error = {
            "code": "load-failed",
            "what": "fraud did not load: ValueError: no data today",
            "mend": "mend it and push again; the last good configuration stays in force",
            "detail": _ERROR["traceback"],
        }
        return messages.of_sync(topic, _WHERE, sync=_SYNC, error=error)
    if topic is Topic.SYNC_SUPERSEDED:
        return messages.of_sync(topic, _WHERE, sync=_SYNC, reason="a newer commit came")
    return messages.of_sync(topic, _WHERE, sync=_SYNC, reason="push", revision="5d41402abc4b2a76b971")


_ENDS = {
    Topic.RUN_QUEUED: (RunState.QUEUED, "push to main: train.py changed"),
    Topic.RUN_STARTED: (RunState.RUNNING, "push to main: train.py changed"),
    Topic.RUN_PROGRESS: (RunState.RUNNING, ""),
    Topic.RUN_SUCCEEDED: (RunState.SUCCEEDED, "push to main: train.py changed"),
    Topic.RUN_FAILED: (RunState.FAILED, ""),
    Topic.RUN_TIMED_OUT: (RunState.TIMED_OUT, "it took longer than 2 h"),
    Topic.RUN_LOST: (RunState.LOST, "its process is gone and told no end"),
    Topic.RUN_CANCELLED: (RunState.CANCELLED, "cancelled by ada"),
}


_STEPS = {
    Topic.RUN_PROGRESS: (Step("generate", StepState.SUCCEEDED, 2.4), Step("train", StepState.RUNNING)),
    Topic.RUN_SUCCEEDED: (Step("generate", StepState.SUCCEEDED, 2.4), Step("train", StepState.SUCCEEDED, 38.2)),
    Topic.RUN_FAILED: (Step("generate", StepState.SUCCEEDED, 2.4), Step("train", StepState.FAILED, 0.3)),
}


def _run(topic: Topic) -> Content:
    state, reason = _ENDS[topic]
    ended = topic not in (Topic.RUN_QUEUED, Topic.RUN_STARTED, Topic.RUN_PROGRESS)
    facts = RunFacts(
        id=_RUN,
        workflow="main",
        state=state,
        reason=reason,
        started_at=None if topic is Topic.RUN_QUEUED else 1_750_000_000.0,
        ended_at=1_750_000_042.5 if ended else None,
        results={"train": {"accuracy": 0.93}} if topic is Topic.RUN_SUCCEEDED else None,
        error=_ERROR if topic is Topic.RUN_FAILED else None,
        steps=_STEPS.get(topic, ()),
        log_tail="read 50 rows\nrows left: 0" if topic is Topic.RUN_FAILED else "",
    )
    links = {"run": f"{_URL}/runs/{_RUN}", "log": f"{_URL}/runs/{_RUN}/log", **_PAGES}
    where = Where(project="fraud", repository="fraud", ref="refs/heads/main", commit=_WHERE.commit, links=links)
    return messages.of_run(topic, where, facts)


def _schedule(topic: Topic) -> Content:
    before = None if topic is Topic.SCHEDULE_CREATED else _BEFORE
    after = None if topic is Topic.SCHEDULE_REMOVED else _AFTER
    return messages.of_schedule(topic, _WHERE, name="nightly", occurrence=_SYNC, before=before, after=after)


def _missed(_: Topic) -> Content:
    due = ["2025-06-14T02:30:00+00:00", "2025-06-15T02:30:00+00:00"]
    where = Where(project="fraud", repository="fraud", ref="refs/heads/main")
    return messages.of_missed(where, name="nightly", schedule=_SCHEDULE, due=due)


def _project(topic: Topic) -> Content:
    return messages.of_project(topic, _WHERE, occurrence=_AUDIT, reason="the model is worse", actor="ada")


def _drift(topic: Topic) -> Content:
    return messages.of_drift(topic, _WHERE, occurrence=_SYNC, paths=["project spec.params.rows"])


def _preview(_: Topic) -> Content:
    return messages.of_preview(_WHERE, lines=["save the configuration", "  ~ project.params.rows: 10 → 50"])


_OF_SYNC = "the sync's id"
_OF_RUN = "the run's id"
_OF_SCHEDULE = "project, schedule and the sync that did it"

_EVENTS: dict[Topic, _Event] = {
    Topic.DELIVERY_REJECTED: _Event(
        "A webhook was refused: its signature is wrong, or it is no delivery of its forge.",
        "Once for each hook and reason, until a delivery of that hook is accepted again.",
        "hook, reason and the hook's last accepted delivery",
        _delivery,
    ),
    Topic.SYNC_STARTED: _Event("Work on bringing a project to a commit began.", "When the sync leaves the queue.", _OF_SYNC, _sync),
    Topic.SYNC_SUCCEEDED: _Event(
        "The project is at this commit; what the plan said is done or queued, or there was nothing to do, and why.",
        "In the transaction that puts it in force, or that skips the sync.", _OF_SYNC, _sync,
    ),
    Topic.SYNC_FAILED: _Event(
        "The project could not be brought to the commit; what was in force stays in force.",
        "When it does not load, its declaration is wrong or not allowed, or its repository cannot be fetched.",
        "the sync's id; without a project, the repository and what it is about",
        _sync,
    ),
    Topic.SYNC_SUPERSEDED: _Event("A commit was passed over for a newer one.", "When the newer one is found.", _OF_SYNC, _sync),
    Topic.CONFIG_SAVED: _Event(
        "The configuration changed, and the new one is in force.", "With `sync.succeeded`, if the revision is another one.", _OF_SYNC, _sync,
    ),
    Topic.CONFIG_ROLLED_BACK: _Event("An earlier revision was put in force by a person.", "When it is.", "project and audit entry", _project),
    Topic.PROJECT_SUSPENDED: _Event("Syncs and fires of a project are stopped by a person.", "When they are.", "project and audit entry", _project),
    Topic.RUN_QUEUED: _Event("A run waits for its turn.", "When a plan, a schedule or a person wants it.", _OF_RUN, _run),
    Topic.RUN_STARTED: _Event("The workflow runs.", "When its runner has claimed it.", _OF_RUN, _run),
    Topic.RUN_PROGRESS: _Event(
        "A step began or ended.", "When its runner says so; of progress that waits to be sent only the newest is.",
        "the run's id, and how many steps began and ended", _run,
    ),
    Topic.RUN_SUCCEEDED: _Event("The workflow ended well; its results are in the message.", "When its runner says so.", _OF_RUN, _run),
    Topic.RUN_FAILED: _Event("The workflow ended badly; the error has the traceback of the repository's own files.", "When its runner says so.", _OF_RUN, _run),
    Topic.RUN_TIMED_OUT: _Event("The run took longer than it may and was ended.", "After `runner.timeout` or `launcher.run_timeout`.", _OF_RUN, _run),
    Topic.RUN_LOST: _Event(
        "The run began, its process is gone, and nothing tells how it ended. It is not repeated by itself.", "When that is found.", _OF_RUN, _run,
    ),
    Topic.RUN_CANCELLED: _Event("The run was ended by a person, or by a newer one with `concurrency: cancel-running`.", "When it has ended.", _OF_RUN, _run),
    Topic.SCHEDULE_CREATED: _Event("A schedule is in force that was not.", "With the sync that brought it.", _OF_SCHEDULE, _schedule),
    Topic.SCHEDULE_CHANGED: _Event("A schedule has another time, zone, workflow or arguments.", "With the sync that brought it.", _OF_SCHEDULE, _schedule),
    Topic.SCHEDULE_REMOVED: _Event(
        "A schedule will not fire any more.", "With the sync that removed it, or when its ref or project is gone.", _OF_SCHEDULE, _schedule,
    ),
    Topic.SCHEDULE_MISSED: _Event(
        "Due times at which nobody could fire, and that are not made up for.", "When the service is back, or the revision in force lacks the workflow.",
        "the schedule and the due times", _missed,
    ),
    Topic.DRIFT_DETECTED: _Event(
        "Somebody changed in MLRun what was saved there.", "When a sync finds it, just before it puts it right.", "project, sync and what differs", _drift,
    ),
    Topic.DRIFT_HEALED: _Event(
        "MLRun has again what Git says.", "When the save that put it right has ended.", "project, sync, attempt and what differed", _drift,
    ),
    Topic.PREVIEW_READY: _Event("The plan of a commit that is not in force.", "When it is asked for.", "project, commit and plan", _preview),
}  # fmt: skip


def text() -> str:
    if silent := [topic for topic in Topic if topic not in _EVENTS]:
        raise ValueError(
            f"docs/generate/events.py says nothing about {', '.join(silent)}: add what they mean to _EVENTS"
        )
    events = {topic: _EVENTS[topic] for topic in Topic}
    return page(
        "Events",
        "service/domain/events.py and service/domain/messages.py",
        _INTRO,
        table(("event", "severity", "meaning"), (_line(topic, event) for topic, event in events.items())),
        "A subscription to `run.failed` also hears `run.timed-out` and `run.lost`. Events marked *not yet* have their form, and no "
        "part of this version sends them.",
        *(_section(topic, event) for topic, event in events.items()),
    )


def _line(topic: Topic, event: _Event) -> tuple[str, str, str]:
    anchor = str(topic).replace(".", "")
    return f"[`{topic}`](#{anchor})", messages.SEVERITIES[topic].value, f"{_not_yet(event)}{event.meaning}"


def _section(topic: Topic, event: _Event) -> str:
    content = event.make(topic)
    if content.topic is not topic:
        raise ValueError(f"the example of {topic} is one of {content.topic}")
    facts = table(
        ("", ""),
        [
            ("severity", content.severity.value),
            ("when", f"{_not_yet(event)}{event.when}"),
            ("deduplication key", f"of {event.key}: `{content.key}`"),
        ],
    )
    return "\n\n".join((f"## {topic}", event.meaning, facts, json_block(payload(_message(content)))))


def _message(content: Content) -> Message:
    plain: dict[str, Any] = msgspec.to_builtins(content)
    event = plain.pop("topic")
    message = {**plain, "event": event, "id": "01k0000000000000000000mess", "at": "2025-06-15T15:07:22.500Z"}
    return msgspec.convert(message, Message)


def _not_yet(event: _Event) -> str:
    return "" if _is_sent(event) else "*Not yet:* "


def _is_sent(event: _Event) -> bool:
    """Whether anything in the service calls the function that makes this event's message."""
    makers = {name for name in event.make.__code__.co_names if name.startswith("of_")}
    return makers <= _called()


@cache
def _called() -> frozenset[str]:
    rooms = Path(reconciler.__file__).parent.glob("*.py")
    return frozenset(name for room in rooms for name in re.findall(r"messages\.(of_\w+)\(", room.read_text("utf-8")))
