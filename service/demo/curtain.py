"""From the curtain's rise to its fall: what is set up, the story, and what is left to say."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from service.cli.screen import complain
from service.demo import sample
from service.demo.checks import Check
from service.demo.forge import Clone
from service.demo.screen import Screen, span
from service.demo.stage import Stage, Stopped, opened
from service.demo.story import HEADS, CheckFailed, Story
from service.errors import DemoError, GitopsError, UnreachableError

_LOOK_S = 0.2
_PING = 200


def demo(*, keep: bool) -> int:
    """The exit code: 0 only if everything that was said was checked and held.

    With `keep` service and Git server stay up after the story, until Ctrl-C or SIGTERM.
    """
    screen = Screen()
    try:
        with opened(screen) as (stage, running):
            try:
                _tell(screen, stage, running, keep=keep)
            except (CheckFailed, GitopsError) as error:
                _explain(screen, stage, error)
                return 1
    except Stopped as stopped:
        screen.says("Stopped; nothing is left of it.")
        return stopped.code
    except GitopsError as error:
        complain(error)
        return 1
    screen.says("All of it is stopped and removed.")
    return 0


def _tell(screen: Screen, stage: Stage, running: ExitStack, *, keep: bool) -> None:
    began = time.monotonic()
    story = Story(stage, screen, _set_up(screen, stage, running))
    story.tell()
    screen.chapter(6, "In short")
    screen.table(HEADS, story.rows)
    screen.blank()
    screen.says(f"Each of these sentences was checked; the story took {span(time.monotonic() - began)}.")
    screen.blank()
    if keep:
        _keep(screen, stage)
    else:
        screen.command("make demo ARGS=--keep", "the same, and it stays up to be played with")
        screen.command("examples/fraud", "the project, to be copied and made yours")
        screen.command("README.md", "how to point the webhook of a forge here")
        screen.blank()


def _set_up(screen: Screen, stage: Stage, running: ExitStack) -> Clone:
    screen.title(
        "mlrun-gitops: a git push becomes a run",
        "push → webhook → fetch → load → plan → save → run → tell",
        "A real service, a real Git server and real pushes, all on this machine.",
    )
    if not sample.FILES.is_dir():
        raise DemoError(f"the sample project is not in {sample.FILES}", mend="run the demo in a checkout: make demo")
    with screen.working("looking for the runner environment") as working:
        installed = stage.install(working)
    screen.fact("runner environment", installed)
    with screen.working("starting the service") as working:
        stage.start(running)
    screen.fact("service", f"{stage.child.url}, ready after {span(working.seconds)}")
    screen.fact("Git repository", stage.forge.url)
    ping = Check("the forge's ping was answered 200: the webhook works", _PING, stage.ping["status"])
    if not ping.holds:
        screen.broken(ping)
        raise CheckFailed
    screen.fact("webhook", f"a signed ping was answered {stage.ping['status']}")
    screen.fact("sample project", "examples/fraud: generate payments, train, evaluate")
    return stage.forge.clone(stage.folder / "clone", sample.FILES)


def _explain(screen: Screen, stage: Stage, error: Exception) -> None:
    """Why it ends here, and what the service said last."""
    screen.blank()
    if isinstance(error, GitopsError):
        complain(_cause(stage, error))
    if tail := stage.child.tail():
        screen.says("The service's log ends:")
        screen.lines(tail)
    screen.says("The demo failed.")


def _cause(stage: Stage, error: GitopsError) -> GitopsError:
    """That nothing answers is no news where the service has ended."""
    if isinstance(error, UnreachableError):
        try:
            stage.child.check()
        except DemoError as ended:
            return ended
    return error


def _keep(screen: Screen, stage: Stage) -> None:
    """Until a signal comes, by which it ends as it should."""
    command = Path(sys.executable).with_name("mlrun-gitops")
    ours = str(command) if command.exists() else "mlrun-gitops"
    screen.says("It stays up until Ctrl-C. To play with it, in another terminal:")
    for line in (
        f"cd {shlex.quote(str(stage.folder / 'clone'))}",
        'sed -i "s/rounds: .*/rounds: 40/" project.yaml',
        'git commit -am "Learn less" && git push',
        f"export GITOPS_URL={stage.child.url}",
        f"{shlex.quote(ours)} status",
        f"{shlex.quote(ours)} logs -f fraud",
        f"cat {shlex.quote(str(stage.child.config))}",
    ):
        screen.command(line, "")
    screen.blank()
    screen.says("What people are told from now on:")
    said = len(stage.child.said())
    try:
        while True:
            stage.child.check()
            text = stage.child.said()
            if new := text[said:].rpartition("\n")[0]:
                said += len(new) + 1
                screen.raw(new)
            time.sleep(_LOOK_S)
    except Stopped:
        screen.blank()
