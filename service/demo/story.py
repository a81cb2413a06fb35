"""The story: five chapters, each a push, what came of it, and what the demo says about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from service.demo import checks, sample, timeline
from service.demo.checks import Check
from service.demo.facts import Outcome, State
from service.demo.forge import Clone, Pushed
from service.demo.sample import MOVED_TO, NIGHTLY, ROUNDS, Edit
from service.demo.screen import Screen, span
from service.demo.stage import Stage

# A warm runner loads the project in less.
_COLD_S = 2.5


class CheckFailed(Exception):
    """Something that the demo says did not hold; it has been shown."""


@dataclass
class Story:
    stage: Stage
    screen: Screen
    clone: Clone
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def tell(self) -> None:
        """All of it. Raises CheckFailed, DemoError."""
        first = self.first()
        good = self.second(first)
        self.third()
        self.fourth(good)
        self.fifth()

    def first(self) -> Outcome:
        self.screen.chapter(1, "A first push: saved, scheduled and run")
        now = self._push("Detect fraud in card payments")
        self._check(checks.first(now, NIGHTLY))
        self.screen.told(now, "schedule.created", "run.succeeded")
        self._took(now, bars=True)
        if now.sync["timings"]["load"] > _COLD_S:
            self.screen.remark("To load it, a runner imported MLRun first; it is kept warm from now on.")
        self._row("1 first", now)
        return now

    def second(self, first: Outcome) -> Outcome:
        self.screen.chapter(2, "A second push: a parameter and the cron line change")
        now = self._push("Learn longer, later in the night", sample.IMPROVED)
        self._check(checks.second(now, first, NIGHTLY, MOVED_TO))
        self.screen.told(now, "schedule.changed", "run.succeeded")
        self._took(now, bars=True)
        self._row("2 changed", now)
        return now

    def third(self) -> None:
        self.screen.chapter(3, "A third push breaks the workflow")
        now = self._push("Give the data a better name", sample.RENAMED)
        self._check(checks.third(now, MOVED_TO), after=2, shown=now.traceback)
        self.screen.told(now, "sync.failed")
        self._took(now)
        self._row("3 broken", now)

    def fourth(self, good: Outcome) -> None:
        self.screen.chapter(4, "A fourth push mends it")
        now = self._push("Give it everywhere", sample.MENDED)
        self._check(checks.fourth(now, good))
        self.screen.told(now, "sync.succeeded")
        self._took(now)
        self._row("4 mended", now)

    def fifth(self) -> None:
        self.screen.chapter(5, "Two quick pushes, while the forge is slow to answer")
        self.screen.remark("The Git server lets the service wait for its fetch until both are pushed.")
        before = self.stage.watch.state()
        self.stage.forge.slow(on=True)
        pushes = [
            self._pushed("Learn longer", [sample.rounds(*ROUNDS[1:3])]),
            self._pushed("Learn even longer", [sample.rounds(*ROUNDS[2:4])]),
        ]
        self.stage.forge.slow(on=False)
        newer, older = self._follow(pushes[1], before), self._follow(pushes[0], before)
        self._check(checks.fifth(older, newer))
        self.screen.told(older, "sync.superseded")
        self.screen.told(newer, "run.succeeded")
        self._took(newer)
        self._row("5 older", older)
        self._row("  newer", newer)

    def _push(self, subject: str, edits: Iterable[Edit] = ()) -> Outcome:
        before = self.stage.watch.state()
        return self._follow(self._pushed(subject, edits), before)

    def _pushed(self, subject: str, edits: Iterable[Edit]) -> Pushed:
        edits = tuple(edits)
        for edit in edits:
            self.clone.edit(edit.file, edit.old, edit.new)
        self.clone.commit(subject)
        if edits:
            self.screen.changes(self.clone.changes())
        with self.screen.working("git push"):
            pushed = self.clone.push()
        self.screen.pushed(subject, pushed)
        return pushed

    def _follow(self, pushed: Pushed, before: State) -> Outcome:
        with self.screen.working("fetching the repository") as working:
            return self.stage.watch.follow(pushed, before, working.say)

    def _check(self, all_: Iterable[Check], *, after: int = 0, shown: str = "") -> None:
        """Say each if it holds. `shown` is shown after the check of that number."""
        self.screen.blank()
        for number, check in enumerate(all_):
            if not check.holds:
                self.screen.broken(check)
                raise CheckFailed
            self.screen.check(check)
            if shown and number == after:
                self.screen.traceback(shown)
        self.screen.blank()

    def _took(self, now: Outcome, *, bars: bool = False) -> None:
        self.screen.timeline(timeline.of(now), bars=bars)

    def _row(self, name: str, now: Outcome) -> None:
        run = now.runs[0] if now.runs else None
        took = timeline.of(now)
        auc = now.result("auc")
        self.rows.append(
            (
                name,
                now.commit[:7],
                now.sync["state"],
                run["state"] if run else "–",
                str(now.result("rounds") or "–"),
                f"{auc:.3f}" if auc else "–",
                span(took.first_step) if took.first_step is not None else "–",
                span(took.done) if run else "–",
            )
        )


HEADS = ("push", "commit", "sync", "run", "rounds", "AUC", "first step", "done")

__all__ = ["HEADS", "CheckFailed", "Story"]
