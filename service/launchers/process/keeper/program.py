"""One job from its start to `ended`: output, deadline, cancellation, leftovers, exit code."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

from . import layout, processes
from .output import Output, open_log, say, write_fully
from .start import Order, Runner, start_cold
from .warm import Cold, start_warm

_LOOK_S = 0.1  # how soon a cancellation is seen


class Keeper:
    def __init__(self, job: Path) -> None:
        self.job = job
        self.folder = job / layout.FOLDER
        self.order = Order.of(layout.read_document(job / layout.START) or {})
        self.user = os.getuid() if self.order.user is None else self.order.user
        self.kin = processes.Kin(
            tag=self.order.tag,
            user=self.user,
        )
        self.reason: str | None = None  # why we end it
        self.deadline = 0.0
        self.runner: Runner | None = None
        self.roots: tuple[processes.Process, ...] = ()

    def keep(self) -> None:
        if (self.job / layout.ENDED).exists():
            return
        recorded = self.recorded()
        # Whoever started something had written `started` before.
        begun = (self.job / layout.STARTED).exists()
        found = processes.members(self.kin, (recorded,) if recorded else ()) if begun else []
        if found or self.claimed():
            self.adopt(recorded, found)
        elif cancelled := self.cancelled():
            self.end(cancelled, None)
            return
        elif not self.start():
            self.end("exited", 127)
            return
        self.watch()

    def start(self) -> bool:
        self.mark_started()
        cold = self.order.cold
        if self.order.warm:
            try:
                self.runner = start_warm(self.order, self.job, self.unwanted)
            except Cold as error:
                cold = str(error)
        if self.runner is None:
            if cold:
                self.warn(f"started cold: {cold}")
            try:
                self.runner = start_cold(self.order, self.folder / layout.OUTPUT)
            except (OSError, ValueError) as error:
                self.say(f"could not be started: {error}")
                return False
        self.root(self.runner.process)
        return True

    def unwanted(self) -> str | None:
        """Why the job is to end; also when somebody removed its folder, and with it all who could ask for it."""
        if _clock() >= self.deadline:
            return "timed-out"
        return self.cancelled() or (None if self.job.is_dir() else "cancelled")

    def root(self, process: processes.Process) -> None:
        self.roots = (process,)
        document = {"pid": process.pid, "start_time": process.start_time, "boot": _boot()}
        try:
            layout.write_document(self.job / layout.PROCESS, document)
        except OSError as error:  # the next keeper, if there has to be one, finds the process by its tag
            self.say(f"its process could not be noted: {error}")

    def claimer(self) -> processes.Process | None:
        """Who claimed the job, while it holds the liveness lock: then the pid it wrote is its own still."""
        if not self.claimed() or not self.held():
            return None
        try:
            process = processes.look(int((self.folder / layout.CLAIMED).read_bytes()[:20]))
        except (OSError, ValueError):
            return None
        return process if process and process.user == self.user and process.session == process.pid else None

    def adopt(self, recorded: processes.Process | None, found: list[processes.Process]) -> None:
        """A former keeper was killed; its deadline goes on."""
        started = layout.read_document(self.job / layout.STARTED) or {}
        begun = started["clock"] if started.get("boot") == _boot() else _clock()
        self.deadline = begun + self.order.timeout_s
        leaders = sorted((p for p in found if p.pid == p.session), key=lambda p: p.start_time)
        root = recorded or self.claimer() or next(iter(leaders or found), None)
        self.roots = (root,) if root else ()

    def recorded(self) -> processes.Process | None:
        document = layout.read_document(self.job / layout.PROCESS)
        if not document or document.get("boot") != _boot():
            return None
        process = processes.look(document["pid"])
        return process if process and process.start_time == document["start_time"] else None

    def mark_started(self) -> None:
        now = _clock()
        self.deadline = now + self.order.timeout_s
        layout.write_document(self.job / layout.STARTED, {"clock": now, "boot": _boot(), "at": time.time()})

    def watch(self) -> None:
        try:
            output = Output(self.folder / layout.OUTPUT, self.job / layout.LOG, self.order.log_bytes)
        except OSError as error:
            self.say(f"its output is lost: {error}")
            output = None
        self.follow(output)
        while not self.reason and (other := self.claimer()):
            # A warm start whose answer was lost, and a cold one after it that found the job claimed.
            if self.runner:
                self.runner.code()
                self.runner = None
            self.root(other)
            self.follow(output)
        code = self.finish()
        if output:
            output.drain()
            output.close()
        self.end(*self.verdict(code))

    def follow(self, output: Output | None) -> None:
        """Until the runner ended, by itself or because its time is over."""
        handle = self.open_root()
        poll = select.poll()
        for fd in (output.fd if output else None, handle):
            if fd is not None:
                poll.register(fd, select.POLLIN)
        term_at: float | None = None
        while self.running(handle):
            poll.poll(_LOOK_S * 1000)
            if output:
                output.pump()
            processes.reap(self.child())
            self.reason = self.reason or self.unwanted()
            if self.reason and term_at is None:
                term_at = _clock()
                self.terminate()
            elif term_at is not None and _clock() >= term_at + self.order.grace_s:
                break
        if handle is not None:
            os.close(handle)

    def open_root(self) -> int | None:
        try:
            return os.pidfd_open(self.roots[0].pid) if self.roots else None
        except OSError:
            return None

    def running(self, handle: int | None) -> bool:
        """The runner's process lives; where it can't be seen (another PID namespace), its liveness lock does."""
        if handle is not None:
            return not select.select([handle], [], [], 0)[0]
        return self.claimed() and self.held()

    def terminate(self) -> None:
        """Ask: the runner and what shares its group. What does not listen is killed after the grace."""
        for process in processes.members(self.kin, self.roots):
            if process.group in {root.group for root in self.roots} or not self.roots:
                processes.send(process, signal.SIGTERM)

    def finish(self) -> int | None:
        """The runner's exit code, after everything that the job started is gone."""
        if self.runner and self.reason:
            processes.send(self.runner.process, signal.SIGKILL)
        code = self.runner.code() if self.runner else None
        if not processes.end_all(self.kin, self.roots):
            self.say("some of its processes could not be ended")
        return code

    def child(self) -> int | None:
        """The runner's pid where it is our child, whose exit code is not `reap`'s to take."""
        return self.runner.process.pid if self.runner and self.runner.ours else None

    def verdict(self, code: int | None) -> tuple[str | None, int | None]:
        if self.reason:
            return self.reason, code
        if code is None:
            return None, None
        return ("killed" if code < 0 else "exited"), code

    def end(self, reason: str | None, code: int | None) -> None:
        """Say so, and when the disk is full say it again until it is written: the exit code is nowhere else."""
        document = {"reason": reason, "exit_code": code, "at": time.time()}
        while self.job.is_dir():
            try:
                layout.write_document(self.job / layout.ENDED, document)
            except OSError:
                time.sleep(1)
            else:
                return

    def claimed(self) -> bool:
        return (self.folder / layout.CLAIMED).exists()

    def cancelled(self) -> str | None:
        document = layout.read_document(self.job / layout.CANCELLED)
        return None if document is None else str(document.get("reason", "cancelled"))

    def held(self) -> bool:
        """Asked only of a claimed job: before, our own look could make its runner think the lock is taken."""
        return layout.held(self.folder / layout.ALIVE)

    def warn(self, text: str) -> None:
        """An event of ours, before the runner's first; written only to a file that is the runner's own."""
        event = {"event": "warning", "at": datetime.now(UTC).isoformat().replace("+00:00", "Z"), "text": text}
        try:
            file = os.open(self.folder / layout.EVENTS, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_uid == self.user and status.st_nlink == 1:
            write_fully(file, json.dumps(event).encode() + b"\n")
        os.close(file)

    def say(self, text: str) -> None:
        try:
            log = open_log(self.job / layout.LOG)
        except OSError:
            return
        say(log, text)
        os.close(log)


def _clock() -> float:
    """Counts through suspension and is the same for every process until the machine boots again."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def wait() -> None:
    """Until our standard input, a socket, says which job: its folder, its `lock` open and locked, and its log to print to.

    Whoever started us ended without a word: so do we.
    """
    with socket.socket(fileno=os.dup(0)) as line:
        job, received, _, _ = socket.recv_fds(line, 4096, 2)
    if not job:
        return
    lock, log = received
    os.set_inheritable(lock, False)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for standard, instead in enumerate((nothing, log, log)):
        os.dup2(instead, standard)
    os.close(nothing)
    os.close(log)
    main(os.fsdecode(job))


def main(job: str) -> None:
    """`job` is the job's folder; its `lock` is open and locked among our descriptors."""
    os.chdir("/")
    os.umask(0o077)
    processes.become_subreaper()
    Keeper(Path(job)).keep()
