"""Messages: a title, a severity and a key for every event; and who hears them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from service.domain import messages, policy, subscriptions
from service.domain.events import Severity, Topic
from service.domain.messages import CommitFacts, Content, RunFacts, Where
from service.domain.plan import ScheduleSpec
from service.domain.policy import Policy
from service.domain.projects import Declaration, NotifyRule, RunnerRule
from service.domain.states import RunState
from service.errors import GitopsFileError
from service.settings import Subscription

COMMIT = CommitFacts(sha="c" * 40, author="Ada", subject="more rows")
WHERE = Where(project="fraud", repository="ml", ref="refs/heads/main", commit=COMMIT, links={"run": "https://x/1"})
SPEC = ScheduleSpec(name="nightly", workflow="main", cron="0 2 * * *", arguments={"token": "hunter2"})
LATER = ScheduleSpec(name="nightly", workflow="main", cron="0 3 * * *")


def run(state: RunState = RunState.FAILED, **others: Any) -> RunFacts:
    return RunFacts(id="r1", workflow="main", state=state, started_at=10.0, ended_at=12.5, **others)


def every() -> dict[Topic, Content]:
    sync = {
        topic: messages.of_sync(topic, WHERE, sync="s1", reason="newer") for topic in Topic if topic.startswith("sync.")
    }
    return sync | {
        Topic.CONFIG_SAVED: messages.of_sync(Topic.CONFIG_SAVED, WHERE, sync="s1", revision="abc"),
        Topic.DELIVERY_REJECTED: messages.of_delivery(WHERE, hook="ml", reason="bad signature"),
        **{topic: messages.of_run(topic, WHERE, run()) for topic in Topic if topic.startswith("run.")},
        **{
            topic: messages.of_schedule(topic, WHERE, name="nightly", occurrence="s1", before=SPEC, after=LATER)
            for topic in (Topic.SCHEDULE_CREATED, Topic.SCHEDULE_CHANGED, Topic.SCHEDULE_REMOVED)
        },
        Topic.SCHEDULE_MISSED: messages.of_missed(
            WHERE, name="nightly", schedule="n1", due=["Monday 2:00", "Tuesday 2:00"]
        ),
        **{
            topic: messages.of_project(topic, WHERE, occurrence="a1", reason="bad model", actor="ada")
            for topic in (Topic.CONFIG_ROLLED_BACK, Topic.PROJECT_SUSPENDED)
        },
        **{
            topic: messages.of_drift(topic, WHERE, occurrence="d1", paths=["spec.params.rows"])
            for topic in (Topic.DRIFT_DETECTED, Topic.DRIFT_HEALED)
        },
        Topic.PREVIEW_READY: messages.of_preview(WHERE, lines=["save the configuration"]),
    }


def test_every_event_has_its_message() -> None:
    made = every()
    assert set(made) == set(Topic)
    for topic, content in made.items():
        assert content.topic is topic
        assert content.severity is messages.SEVERITIES[topic]
        assert content.key.startswith(f"{topic}/")
        assert len(content.key) <= 200
        assert "fraud" in content.title or topic is Topic.DELIVERY_REJECTED
        assert "\n" not in content.title
        assert content.links == {"run": "https://x/1"}
        assert content == every()[topic]
    assert len({content.key for content in made.values()}) == len(made)


def test_a_title_tells_what_happened_where_and_why() -> None:
    failed = messages.of_run(Topic.RUN_FAILED, WHERE, run(error={"type": "ValueError", "message": "no rows"}))
    assert failed.title == "main of fraud (main) at cccccccccccc more rows failed: no rows"
    assert failed.run is not None
    assert failed.run["duration_s"] == 2.5
    changed = every()[Topic.SCHEDULE_CHANGED]
    assert changed.title.endswith("was changed: 0 2 * * * (UTC) → 0 3 * * * (UTC)")
    broken = messages.of_sync(
        Topic.SYNC_FAILED, WHERE, sync="s", error={"what": "project.yaml is no YAML", "mend": "mend it"}
    )
    assert "failed: project.yaml is no YAML" in broken.title
    assert broken.details["error"]["mend"] == "mend it"


def test_a_key_says_what_the_message_says() -> None:
    one = messages.of_delivery(WHERE, hook="ml", reason="bad signature", episode="d1")
    assert one.key == messages.of_delivery(Where(), hook="ml", reason="bad signature", episode="d1").key
    assert one.key != messages.of_delivery(WHERE, hook="ml", reason="bad signature", episode="d2").key
    assert one.key != messages.of_delivery(WHERE, hook="ml", reason="no signature", episode="d1").key
    missed = [messages.of_missed(WHERE, name="n", schedule="n1", due=due).key for due in (["a"], ["b"], ["a", "b"])]
    assert len(set(missed)) == 3
    long = messages.of_delivery(WHERE, hook="ml", reason="x" * 500)
    assert len(long.key) <= 200


def test_no_secret_leaves() -> None:
    told = [
        every()[Topic.SCHEDULE_CHANGED],
        messages.of_run(Topic.RUN_SUCCEEDED, WHERE, run(RunState.SUCCEEDED, results={"api_key": "hunter2", "rows": 5})),
        messages.of_sync(Topic.SYNC_FAILED, WHERE, sync="s", error={"what": "fetch of https://u:hunter2@x/y failed"}),
        messages.of_run(Topic.RUN_FAILED, WHERE, run(error={"message": "GET https://u:hunter2@x/y: 401"})),
    ]
    assert "hunter2" not in repr(told)
    assert told[1].run is not None
    assert told[1].run["results"]["rows"] == 5


@dataclass
class Event:
    topic: Topic = Topic.RUN_FAILED
    severity: Severity = Severity.ERROR
    project: str | None = "fraud"
    ref: str | None = "refs/heads/main"


@pytest.mark.parametrize(
    ("subscription", "event", "hears"),
    [
        ({}, Event(), True),
        ({"on": ("run.failed",)}, Event(Topic.RUN_TIMED_OUT), True),
        ({"on": ("run.failed",)}, Event(Topic.RUN_LOST), True),
        ({"on": ("run.failed",)}, Event(Topic.RUN_CANCELLED), False),
        ({"on": ("run.lost",)}, Event(Topic.RUN_FAILED), False),
        ({"on": ("run.*",)}, Event(Topic.RUN_CANCELLED), True),
        ({"on": ("run.*",)}, Event(Topic.SYNC_FAILED), False),
        ({"on": ("run.f*",)}, Event(Topic.RUN_LOST), True),
        ({"projects": ("fraud*",)}, Event(project="fraud-dev"), True),
        ({"projects": ("fraud*",)}, Event(project="risk"), False),
        ({"projects": ("fraud*",)}, Event(project=None), False),
        ({}, Event(Topic.DELIVERY_REJECTED, project=None, ref=None), True),
        ({"refs": ("main",)}, Event(), True),
        ({"refs": ("refs/heads/*",)}, Event(), True),
        ({"refs": ("release/*",)}, Event(ref="refs/heads/release/1"), True),
        ({"refs": ("release/*",)}, Event(), False),
        ({"severity": "error"}, Event(severity=Severity.WARNING), False),
        ({"severity": "warning"}, Event(severity=Severity.ERROR), True),
    ],
)
def test_who_hears_an_event(subscription: dict[str, Any], event: Event, hears: bool) -> None:
    assert subscriptions.hears(Subscription(to="a", **subscription), event) is hears


def test_each_handler_hears_once_and_rules_name_only_the_operators_handlers() -> None:
    subscribed = [Subscription(to="a"), Subscription(to="b", on=("sync.*",)), Subscription(to="a", on=("run.*",))]
    rules = [NotifyRule(to="b", on=("run.failed",)), NotifyRule(to="x", on=("*",)), NotifyRule(to="a", on=("*",))]
    assert subscriptions.handlers_of(Event(), subscribed, rules, known={"a", "b"}) == ("a", "b")
    assert subscriptions.handlers_of(Event(Topic.RUN_STARTED), subscribed[1:2], rules, known={"b"}) == ()


POLICY = Policy(
    launchers=("process", "kubernetes"),
    images=("reg/ml/*",),
    node_selectors=("pool=*",),
    env=("ML_*",),
    volumes=("data",),
    handlers=frozenset({"team"}),
)


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        (Declaration(runner=RunnerRule(launcher="mlrun")), "runner.launcher 'mlrun' .*allows kubernetes, process"),
        (Declaration(runner=RunnerRule(image="evil/x")), "runner.image 'evil/x' .*policy.images"),
        (Declaration(runner=RunnerRule(node_selector={"zone": "a"})), "node_selector zone=a"),
        (Declaration(runner=RunnerRule(env={"PATH": "/x"})), "runner.env PATH .*allows ML_.*policy.env"),
        (Declaration(runner=RunnerRule(volumes={"etc": "/x"})), "runner.volumes 'etc' .*allows data"),
        (Declaration(runner=RunnerRule(service_account="admin")), "runner.service_account 'admin' .*allows none"),
        (Declaration(notify=(NotifyRule(to="nobody", on=("*",)),)), "notify.to 'nobody' is no handler.*team"),
    ],
)
def test_a_repository_picks_only_what_the_operator_allows(declaration: Declaration, said: str) -> None:
    with pytest.raises(GitopsFileError, match=f"(?s){said}"):
        policy.check(declaration, POLICY)


def test_what_the_operator_allows_may_be_picked() -> None:
    runner = RunnerRule(
        launcher="kubernetes",
        image="reg/ml/runner:1",
        node_selector={"pool": "gpu"},
        env={"ML_A": "1"},
        volumes={"data": "/data"},
    )
    policy.check(Declaration(runner=runner, notify=(NotifyRule(to="team", on=("*",)),)), POLICY)
    policy.check(Declaration(), Policy())
