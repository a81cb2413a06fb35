"""uv, as the one who installs: whose user, with which environment, what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.errors import RunnerEnvironmentError
from service.launchers.process import watched
from service.launchers.process.places import cache_dir, reachable, runner_user, uv_binary
from service.settings import Settings

Progress = Callable[[str], None]

# Where uv finds packages, and by which way, is the operator's to say.
_OF_UV = re.compile(r"^(UV_\w+|SSL_CERT_\w+|\w+_PROXY|\w+_proxy)$")
_UNREACHABLE = "Look at uv's words; is the package index reachable from here (UV_DEFAULT_INDEX)? It is tried again"
# What uv says of every venv, which is no news.
_NO_NEWS = (" ", "+", "-", "~", "Activate with", "Using ")


@dataclass(frozen=True, slots=True)
class Uv:
    binary: Path
    environment: Mapping[str, str]
    user: int | None
    progress: Progress
    live: bool = False

    def run(self, *arguments: str, mend: str = _UNREACHABLE) -> None:
        """Raises RunnerEnvironmentError with uv's words and `mend`."""
        lines: list[str] = []
        ours, theirs = watched.open_terminal() if self.live else os.pipe()
        try:
            process = self._start(*arguments, words=theirs)
        finally:
            os.close(theirs)
        with process:
            for text, drawn in watched.texts(ours):
                if not drawn:
                    lines.append(text)
                if not text.startswith(_NO_NEWS):
                    self.progress(text)
        if process.returncode != 0:
            raise RunnerEnvironmentError(
                f"uv {' '.join(arguments[:2])} failed with exit code {process.returncode}",
                mend=mend,
                detail="\n".join(lines[-40:]),
            )

    def _start(self, *arguments: str, words: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self.binary), *arguments, "--color", "never", *(() if self.live else ("--no-progress",))],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            umask=0o022,  # every user reads what is installed
            cwd="/",
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )


def of_service(progress: Progress, *, live: bool = False) -> Uv:
    """For our own lock. No secret of the service is for the packages that are built then.

    `live`: `progress` also hears what uv draws for somebody who watches, many times a second.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GITOPS_")}
    return Uv(uv_binary(), environment, None, progress, live)


def of_runner(settings: Settings, home: Path, progress: Progress) -> Uv:
    """For what a repository asks for: as the runner's user, with an environment made from nothing."""
    user = runner_user(settings)
    environment = {name: value for name, value in os.environ.items() if _OF_UV.match(name)}
    environment |= {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8"}
    return Uv(_reachable_uv(settings, user), environment, user, progress)


def _reachable_uv(settings: Settings, user: int | None) -> Path:
    binary = uv_binary().resolve()
    if user is None or reachable(binary.parent, user):
        return binary
    status = binary.stat()
    copy = cache_dir(settings) / f"uv-{status.st_size}-{status.st_mtime_ns}"
    if not copy.exists():
        partial = copy.with_name(f".{copy.name}.{os.getpid()}")
        shutil.copyfile(binary, partial)
        partial.chmod(0o755)
        partial.replace(copy)
    return copy
