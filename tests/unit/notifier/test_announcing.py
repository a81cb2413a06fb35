from __future__ import annotations

import pytest

from service.domain.events import Topic
from service.domain.messages import Content, RunFacts, Where, of_run
from service.domain.projects import NotifyRule
from service.domain.states import RunState
from service.errors import SettingsError
from service.notifier import Notifier, make_handlers
from service.settings import HandlerSettings
from service.store import Store, notifications, work


def failed(run: str = "1", project: str = "fraud") -> Content:
    return of_run(Topic.RUN_FAILED, Where(project=project), RunFacts(id=run, workflow="main", state=RunState.FAILED))


def waiting(store: Store) -> list[tuple[str, str]]:
    with store.read() as conn:
        return [(n.handler, n.event) for n in notifications.pending(conn)]


def test_everybody_who_hears_of_it_gets_a_row_and_work(notifier: Notifier, store: Store) -> None:
    store.write(lambda conn: notifier.announce(conn, failed(), run="1"))
    assert waiting(store) == [("hook", "run.failed"), ("quiet", "run.failed")]
    with store.read() as conn:
        assert [w.key for w in work.waiting(conn, ["notify"])] == ["hook", "quiet"]
        assert {n.run for n in notifications.pending(conn)} == {"1"}


def test_who_does_not_hear_of_a_project_is_left_out(notifier: Notifier, store: Store) -> None:
    store.write(lambda conn: notifier.announce(conn, failed(project="churn")))
    assert waiting(store) == [("hook", "run.failed")]


def test_a_projects_own_rule_adds_who_hears_but_never_a_handler_that_is_not_there(
    notifier: Notifier, store: Store
) -> None:
    rules = [NotifyRule(to="quiet", on=("run.*",)), NotifyRule(to="nobody", on=("*",))]
    store.write(lambda conn: notifier.announce(conn, failed(project="churn"), rules=rules))
    assert waiting(store) == [("hook", "run.failed"), ("quiet", "run.failed")]


def test_the_same_news_told_twice_leaves_once(notifier: Notifier, store: Store) -> None:
    first = store.write(lambda conn: notifier.announce(conn, failed()))
    second = store.write(lambda conn: notifier.announce(conn, failed()))
    assert (len(first), second) == (2, [])
    assert len(waiting(store)) == 2


def test_news_of_a_transaction_that_failed_are_none(notifier: Notifier, store: Store) -> None:
    def change(conn) -> None:
        notifier.announce(conn, failed())
        raise RuntimeError("the step failed")

    with pytest.raises(RuntimeError):
        store.write(change)
    assert waiting(store) == []
    with store.read() as conn:
        assert work.waiting(conn, ["notify"]) == []


def test_a_handler_that_cannot_work_is_told_with_its_key_and_mend() -> None:
    settings = {
        "a": HandlerSettings.model_validate({"kind": "carrier-pigeon"}),
        "b": HandlerSettings.model_validate({"kind": "webhook", "url": "https://h/canary-1", "secret": "canary-2"}),
        "c": HandlerSettings.model_validate({"kind": "console", "colour": "canary-3"}),
    }
    with pytest.raises(SettingsError) as caught:
        make_handlers(settings)
    said = str(caught.value)
    assert "handlers.a.kind = 'carrier-pigeon': is no kind of handler; there are: console, slack, webhook" in said
    assert "handlers.b.secret: is no webhook secret" in said
    assert "handlers.c.colour: no such setting" in said
    assert "canary" not in said
