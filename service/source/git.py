"""The only module that runs git.

Everything a repository sends is hostile until proven otherwise, so each git starts in an environment built from
nothing, with its configuration given on the command line (which wins over any file), in a process group of its own,
under a deadline and with capped output.

`Git` is GitPython's command object with the one method replaced that starts processes. GitPython's own `execute` can't
be used here: it starts every git with a copy of `os.environ` (the service's secrets, `GIT_*`, `LD_*`), collects output
without a bound, and its timeout looks up child processes by `pgrep` and so misses what is forked meanwhile.

A git that writes (fetch, checkout, repack) runs in a *guarded* group. Its leader is a shell that reads from a pipe
which only this process holds, and kills the whole group when the pipe ends. So however the service dies, also by
`kill -9`, no git is left that works on a mirror. (PDEATHSIG would need code between fork and exec, which is not
safe with threads, and it doesn't reach git's own children.)
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service import limits
from service.source.pump import Interrupt, Pump, stopping

# GitPython tries git at import and raises where there is none; a service without git starts and says so when it fetches.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import git

# What git may know of the service's environment: how to trust a server and how to reach it.
PASSED_ON = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "CURL_CA_BUNDLE",
    "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BACKGROUND = 10

# Wins over the mirror's own config file. Nothing here is a secret: arguments are visible to every user of the machine.
CONFIG: Mapping[str, str] = {
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.askPass": "",
    "core.fsmonitor": "false",
    "core.alternateRefsCommand": "",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    # Files come out byte for byte.
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "core.quotePath": "false",
    "checkout.workers": "1",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    # The address of the setting is the only place that is asked.
    "protocol.allow": "never",
    "protocol.version": "2",
    "http.followRedirects": "false",
    "http.saveCookies": "false",
    "http.lowSpeedLimit": str(limits.GIT_LOW_SPEED_BYTES),
    "http.lowSpeedTime": str(limits.GIT_LOW_SPEED_S),
    "transfer.bundleURI": "false",
    "credential.helper": "",
    # What comes in is checked; the three exceptions are old harmless mistakes that many honest histories contain.
    "transfer.fsckObjects": "true",
    "fetch.fsck.badTimezone": "ignore",
    "fetch.fsck.missingSpaceBeforeDate": "ignore",
    "fetch.fsck.zeroPaddedFilemode": "ignore",
    # Mirrors are tidied under their lock, never by a process in the background.
    "gc.auto": "0",
    "maintenance.auto": "false",
    "i18n.logOutputEncoding": "UTF-8",
    "log.showSignature": "false",
}


@dataclass(frozen=True, slots=True)
class Output:
    status: int
    stdout: bytes
    stderr: str


class GitError(Exception):
    """git ended badly. `status` is its exit code, negative for a signal; `timed_out` and `too_much` say that we ended it."""

    def __init__(
        self, verb: str, status: int, stderr: str, *, timed_out: float | None = None, too_much: bool = False
    ) -> None:
        super().__init__(f"git {verb}: exit {status}")
        self.verb = verb
        self.status = status
        self.stderr = stderr
        self.timed_out = timed_out
        self.too_much = too_much


class NoGitError(Exception):
    """There is no git on PATH."""


def environment(home: Path, *, scheme: str = "") -> dict[str, str]:
    """An environment from nothing. `home` is an empty folder; `scheme` the only transport that may be used, "" none."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {
        "PATH": os.environ.get("PATH") or SYSTEM_PATH,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": scheme,
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
    }


class Git(git.Git):
    """git on one mirror.

    `run` is the way in for this package. `execute` keeps GitPython's shape, so that everything of GitPython that is
    built on it starts its processes here too.
    """

    def __init__(
        self,
        git_dir: Path,
        *,
        home: Path,
        timeout_s: float = limits.GIT_TIMEOUT_S,
        interrupt: Interrupt | None = None,
    ) -> None:
        super().__init__(str(git_dir))
        self.git_dir = git_dir
        self.home = home
        self.timeout_s = timeout_s
        self.interrupt = interrupt or Interrupt()

    def identity(self) -> tuple[int, int] | None:
        """Tells one clone from the next; None where there is none."""
        try:
            status = self.git_dir.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        ok: Sequence[int] = (0,),
        cap: int | None = None,
        timeout_s: float | None = None,
        config: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        scheme: str = "",
        fds: Sequence[int] = (),
        guarded: bool = False,
        in_background: bool = False,
    ) -> Output:
        """Run `git *arguments` on the mirror. Raises GitError when the exit code is not among `ok`, NoGitError, and Stopping once it is
        interrupted.

        `fds` are inherited by git and everything it starts. `config` and `env` are added to what always holds.
        `in_background` leaves the processor to everybody else.
        """
        settings = {**({f"protocol.{scheme}.allow": "always"} if scheme else {}), **(config or {})}
        return _run(
            self._command(arguments, settings),
            verb=arguments[0],
            env=self._surroundings(scheme) | dict(env or {}),
            cwd=self.home,
            stdin=stdin,
            ok=ok,
            cap=limits.GIT_OUTPUT_BYTES if cap is None else cap,
            timeout_s=self.timeout_s if timeout_s is None else timeout_s,
            fds=fds,
            guarded=guarded,
            niceness=_BACKGROUND if in_background else 0,
            interrupt=self.interrupt,
        )

    def talk(self, *arguments: str, stderr: int) -> subprocess.Popen[bytes]:
        """A git that reads the mirror and is asked over its standard input, with whose end it ends. Raises NoGitError."""
        return subprocess.Popen(
            self._command(arguments, {}),
            env=self._surroundings(""),
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            process_group=0,
        )

    def _command(self, arguments: Sequence[str], config: Mapping[str, str]) -> list[str]:
        settings = {**CONFIG, **config, "safe.directory": str(self.git_dir)}
        return [
            _executable(),
            *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
            *arguments,
        ]

    def _surroundings(self, scheme: str) -> dict[str, str]:
        return environment(self.home, scheme=scheme) | {"GIT_DIR": str(self.git_dir)}

    # GitPython's signature is a pile of overloads over a dozen flags of which this takes the ones that make sense here.
    def execute(  # type: ignore[override]
        self, command: Sequence[str], *, with_exceptions: bool = True, with_extended_output: bool = False, **_: Any
    ) -> str | tuple[int, str, str]:
        """`command` is `["git", ...]` as GitPython composes it."""
        try:
            output = self.run(*command[1:])
        except GitError as failed:
            if with_exceptions:
                raise git.GitCommandError(list(command), failed.status, failed.stderr) from failed
            output = Output(failed.status, b"", failed.stderr)
        text = output.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")
        return (output.status, text, output.stderr) if with_extended_output else text


def _executable() -> str:
    if (found := shutil.which("git")) is None:
        raise NoGitError
    return found


def _run(
    command: Sequence[str],
    *,
    verb: str,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes,
    ok: Sequence[int],
    cap: int,
    timeout_s: float,
    fds: Sequence[int],
    guarded: bool,
    niceness: int,
    interrupt: Interrupt,
) -> Output:
    interrupt.check(f"git {verb} was not begun")
    deadline = time.monotonic() + timeout_s
    with _guard() if guarded else contextlib.nullcontext(0) as group:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=fds,
            process_group=group,
        )
        if guarded:
            _limit_file_size(process.pid)
        if niceness:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
        # An unguarded git leads its own group and stays unreaped until `wait`, so this id can't be anybody else's.
        with process, _group_killed_on_the_way_out(group or process.pid, process):
            pump = Pump(process, stdin, cap)
            ended = pump.run(deadline, interrupt)
            if ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
            status = process.poll()
            if pump.interrupted:
                raise stopping(f"git {verb} was ended")
            if pump.full:
                raise GitError(verb, -signal.SIGKILL, pump.stderr, too_much=True)
            if status is None:
                raise GitError(verb, -signal.SIGKILL, pump.stderr, timed_out=timeout_s)
    if status not in ok:
        raise GitError(verb, status, pump.stderr)
    return Output(status, bytes(pump.stdout), pump.stderr)


@contextlib.contextmanager
def _guard() -> Iterator[int]:
    """A process group that ends with this process at the latest; yields its id."""
    read_end, write_end = os.pipe()
    try:
        leader = subprocess.Popen(
            ["/bin/sh", "-c", "read -r _; kill -9 0"],
            env={},
            cwd="/",
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    try:
        yield leader.pid
    finally:
        os.close(write_end)
        # Not left to the shell: a process forked elsewhere meanwhile may hold the pipe open.
        os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()


@contextlib.contextmanager
def _group_killed_on_the_way_out(group: int, process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def _limit_file_size(pid: int) -> None:
    """A pack larger than a mirror may be ends its writer by SIGXFSZ; children inherit the limit."""
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limits.MIRROR_FILE_BYTES, limits.MIRROR_FILE_BYTES))
