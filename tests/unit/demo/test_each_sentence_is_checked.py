"""The demo says nothing that did not hold: whatever a service says wrong, one of its sentences is not said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from service.demo import checks
from service.demo.checks import Check
from service.demo.facts import Outcome
from service.demo.sample import MOVED_TO, NIGHTLY
from tests.unit.demo import told
from tests.unit.demo.told import wrong

Chapter = Callable[[Outcome], Iterator[Check]]

CHAPTERS: dict[str, tuple[Chapter, Callable[[], Outcome]]] = {
    "first": (lambda now: checks.first(now, NIGHTLY), told.first),
    "second": (lambda now: checks.second(now, told.first(), NIGHTLY, MOVED_TO), told.second),
    "third": (lambda now: checks.third(now, MOVED_TO), told.third),
    "fourth": (lambda now: checks.fourth(now, told.second()), told.fourth),
    "newer": (lambda now: checks.fifth(told.older(), now), told.newer),
    "older": (lambda now: checks.fifth(now, told.newer()), told.older),
}


def broken(chapter: str, outcome: Outcome) -> list[str]:
    return [check.says for check in CHAPTERS[chapter][0](outcome) if not check.holds]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_all_of_it_holds_where_all_went_well(chapter: str) -> None:
    assert broken(chapter, CHAPTERS[chapter][1]()) == []


# What is wrong, and a word of the sentence that is not said then.
WRONG: dict[str, tuple[str, Callable[[Outcome], Outcome], str]] = {
    "refused": ("first", lambda good: wrong(good, "webhook", "status", to=503), "answered 202"),
    "unanswered": ("first", lambda good: replace(good, webhook={}), "answered 202"),
    "not synced": ("first", lambda good: wrong(good, "sync", "state", to="failed"), "was synced"),
    "polled": ("first", lambda good: wrong(good, "sync", "cause", to="found"), "was synced"),
    "nothing in force": ("first", lambda good: replace(good, after=told.NOTHING), "was synced"),
    "two revisions": ("first", lambda good: replace(good, after=told.SECOND), "one new revision"),
    "no revision": ("second", lambda good: replace(good, before=told.SECOND), "one new revision"),
    "ran twice": ("first", lambda good: replace(good, after=replace(good.after, runs=good.after.runs * 2)), "ran once"),
    "ran never": ("second", lambda good: replace(good, before=good.after), "ran once"),
    "ran and failed": (
        "first",
        lambda good: replace(good, after=replace(good.after, runs=({**good.after.runs[0], "state": "failed"},))),
        "ran once",
    ),
    "ran another commit": (
        "first",
        lambda good: replace(good, after=replace(good.after, runs=({**good.after.runs[0], "commit": "f" * 40},))),
        "exactly this commit",
    ),
    "a step left out": ("first", lambda good: replace(good, events=good.events[2:]), "its steps"),
    "another order": ("first", lambda good: replace(good, events=good.events[::-1]), "its steps"),
    "an artifact lost": ("first", lambda good: replace(good, events=good.events[:-2]), "artifacts"),
    "the old parameter": (
        "second",
        lambda good: wrong(good, "sync", "runs", 0, "results", "train-train", "rounds", to=10),
        "80 trees",
    ),
    "no better": (
        "second",
        lambda good: wrong(good, "sync", "runs", 0, "results", "evaluate-evaluate", "auc", to=0.7),
        "AUC rose",
    ),
    "a guess": (
        "first",
        lambda good: wrong(good, "sync", "runs", 0, "results", "evaluate-evaluate", "auc", to=0.5),
        "not accepted",
    ),
    "accepted all the same": (
        "first",
        lambda good: wrong(good, "sync", "runs", 0, "results", "evaluate-evaluate", "accepted", to=True),
        "not accepted",
    ),
    "no results": ("first", lambda good: wrong(good, "sync", "runs", 0, "results", to=None), "10 trees"),
    "the schedule kept": (
        "second",
        lambda good: wrong(good, "sync", "plan", "schedules", 0, "action", to="keep"),
        "nightly moved",
    ),
    "the old cron line": (
        "second",
        lambda good: replace(good, after=replace(good.after, schedules=told.FIRST.schedules)),
        "nightly moved",
    ),
    "due at another hour": (
        "second",
        lambda good: replace(
            good,
            after=replace(good.after, schedules=({**good.after.schedules[0], "next_due": "2030-01-02T05:45:00Z"},)),
        ),
        "due next",
    ),
    "due on a Sunday": (
        "second",
        lambda good: replace(
            good,
            after=replace(good.after, schedules=({**good.after.schedules[0], "next_due": "2030-01-06T04:45:00Z"},)),
        ),
        "due next",
    ),
    "never due": (
        "first",
        lambda good: replace(
            good, after=replace(good.after, schedules=({**good.after.schedules[0], "next_due": None},))
        ),
        "due next",
    ),
    "more changed": ("second", lambda good: wrong(good, "sync", "plan", "changes", to=[]), "one thing"),
    "the console silent": ("first", lambda good: replace(good, console=good.console[:-1]), "both handlers"),
    "the listener silent": ("first", lambda good: replace(good, heard=good.heard[1:]), "both handlers"),
    "a wrong signature": ("first", lambda good: replace(good, forged=1), "both handlers"),
    "broken, but synced": ("third", lambda good: wrong(good, "sync", "state", to="succeeded"), "sync failed"),
    "another traceback": ("third", lambda good: wrong(good, "sync", "error", "detail", to="in a library"), "traceback"),
    "no error": ("third", lambda good: wrong(good, "sync", "error", to=None), "traceback"),
    "the broken one ran": ("third", lambda good: replace(good, before=told.FIRST), "nothing ran"),
    "the broken one in force": ("third", lambda good: replace(good, after=told.FOURTH), "last good configuration"),
    "its schedule gone": (
        "third",
        lambda good: replace(good, after=replace(good.after, schedules=())),
        "so is its schedule",
    ),
    "the error stays": (
        "fourth",
        lambda good: wrong(
            good, "after", to=replace(good.after, project={**(good.after.project or {}), "error": "still"})
        ),
        "error is gone",
    ),
    "another result": (
        "fourth",
        lambda good: wrong(good, "sync", "runs", 0, "results", "evaluate-evaluate", "auc", to=0.9),
        "same AUC",
    ),
    "the older synced": ("older", lambda good: wrong(good, "sync", "state", to="succeeded"), "superseded"),
    "forgotten": ("older", lambda good: replace(good, delivery={}), "superseded"),
    "superseded by another": (
        "older",
        lambda good: wrong(good, "sync", "superseded_by", to="sync-first"),
        "superseded",
    ),
    "the newer not synced": ("newer", lambda good: wrong(good, "sync", "state", to="failed"), "newer was synced"),
    "lost at the door": ("older", lambda good: wrong(good, "webhook", "status", to=0), "acknowledged"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_sentence_that_does_not_hold_is_not_said(case: str) -> None:
    chapter, tamper, word = WRONG[case]
    said = broken(chapter, tamper(CHAPTERS[chapter][1]()))
    assert any(word in sentence for sentence in said), said
