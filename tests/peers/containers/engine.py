"""buildah, podman and runc on a storage of our own, told by two files what a bare machine cannot do.

A machine of CI has neither systemd nor a bridge, perhaps an old kernel, and limits that may not be raised; each line of
`_CONTAINERS` answers one of these. The files are named to the programs by environment variables, so that their command
lines are as anybody's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

ROOT = Path("/var/cache/mlrun-gitops/containers")
# State of what runs: gone after a reboot, as podman expects it.
RUN = Path("/run/mlrun-gitops/containers")

# Also the names of Debian's packages.
_PROGRAMS = ("buildah", "podman", "runc", "debootstrap")

_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{root}/storage"
runroot = "{run}/storage"
"""
_CONTAINERS = """\
[containers]
netns = "host"
log_driver = "k8s-file"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{run}/libpod"
"""
# How a build reaches this machine's package registries; what is not here needs no mention.
_REGISTRIES = ("/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/pip.conf")


def lacking() -> str | None:
    """How to get what is missing here; None when containers can be built and run."""
    path = os.pathsep.join([*os.get_exec_path(), "/usr/sbin"])
    absent = [program for program in _PROGRAMS if shutil.which(program, path=path) is None]
    if absent:
        return f"{', '.join(absent)} not found; apt-get install --no-install-recommends {' '.join(absent)}"
    if os.geteuid() != 0:
        return "containers are built and run as root here; run the tests as root"
    return None


@cache
def engine() -> Engine:
    """The machine's one, with its files in place."""
    made = Engine(ROOT, RUN)
    made.set_up()
    return made


@dataclass(frozen=True, slots=True)
class Engine:
    """Images and containers under `root`; `run` holds the state of what runs."""

    root: Path
    run_dir: Path

    def set_up(self) -> None:
        for folder in (self.root, self.run_dir):
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("storage.conf", _STORAGE), ("containers.conf", _CONTAINERS)):
            wanted = text.format(root=self.root, run=self.run_dir)
            file = self.root / name
            if not file.exists() or file.read_text() != wanted:
                aside = file.with_name(f".{name}.{os.getpid()}")
                aside.write_text(wanted)
                aside.rename(file)

    @property
    def environment(self) -> dict[str, str]:
        """What podman and buildah are run with, by whomever: they then know the same images."""
        return {
            **os.environ,
            "CONTAINERS_CONF": str(self.root / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf"),
        }

    def podman(self, *words: str, check: bool = True, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        return self._call(["podman", *words], check=check, timeout_s=timeout_s)

    def buildah(self, *words: str, check: bool = True, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        return self._call(["buildah", *words], check=check, timeout_s=timeout_s)

    def _call(self, command: list[str], *, check: bool, timeout_s: float) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode:
            said = (done.stdout + done.stderr)[-4000:]
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{said}")
        return done

    def build(
        self,
        context: Path,
        tag: str,
        *,
        arguments: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """`context`/Dockerfile as `tag`; nothing is pulled. What had that name before goes."""
        before = self.inspect(tag)["Id"] if self.has(tag) else None
        words = [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
        self.buildah("build", *self.build_options(), *options, *words, "-t", tag, str(context))
        if before is not None and before != self.inspect(tag)["Id"]:
            self.podman("rmi", before, check=False)  # where another image stands on it, it stays

    def build_options(self) -> list[str]:
        """What `buildah build` needs on a machine as this: no namespaces of its own, the way to package registries, and
        nothing kept of the steps between."""
        volumes = [word for path in _REGISTRIES if Path(path).exists() for word in ("-v", f"{path}:{path}:ro")]
        return [
            "--isolation",
            "chroot",
            "--network",
            "host",
            "--pull-never",
            "--layers=false",
            "--format",
            "docker",
            *volumes,
        ]

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.podman("image", "inspect", image).stdout)[0]
        return found

    def has(self, image: str) -> bool:
        return self.podman("image", "exists", image, check=False).returncode == 0

    def label(self, image: str, name: str) -> str | None:
        """None also where there is no such image."""
        return (self.inspect(image)["Labels"] or {}).get(name) if self.has(image) else None

    def run(
        self, image: str, *command: str, options: Sequence[str] = (), check: bool = True, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` in a container that is gone afterwards."""
        with Container(self, image, command, options) as container:
            return container.wait(check=check, timeout_s=timeout_s)

    @contextlib.contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """The image's files."""
        where = self.podman("image", "mount", image).stdout.strip()
        try:
            yield Path(where)
        finally:
            self.podman("image", "unmount", image)

    @contextlib.contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """One process at a time makes `what`; the next finds it made."""
        with (self.root / f"{what}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass(slots=True)
class Container:
    """One container, from `with` until the end of it.

    Whether it runs is seen by its conmon, the process that podman leaves beside each: to look costs nothing, and podman is
    asked only once there is an answer.
    """

    engine: Engine
    image: str
    command: Sequence[str] = ()
    options: Sequence[str] = ()
    name: str = field(default_factory=lambda: f"gitops-test-{uuid4().hex[:12]}")

    def __enter__(self) -> Self:
        self.engine.podman("run", "--detach", *self.words())
        return self

    def words(self) -> list[str]:
        """Of `podman run`. A health check needs systemd's timers; a test runs it by itself."""
        beside = ["--conmon-pidfile", str(self._pidfile)]
        return [
            "--name",
            self.name,
            "--pull",
            "never",
            "--no-healthcheck",
            *beside,
            *self.options,
            self.image,
            *self.command,
        ]

    def __exit__(self, *_exc: object) -> None:
        self.engine.podman("rm", "--force", "--volumes", "--time", "0", "--ignore", self.name)
        self._pidfile.unlink(missing_ok=True)

    def wait(self, *, check: bool = True, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Its end: exit code and what it printed."""
        deadline = time.monotonic() + timeout_s
        while self.running:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.image} did not end in {timeout_s:.0f} s:\n{self.log()}")
            time.sleep(0.02)
        status = int(self.inspect()["State"]["ExitCode"])
        printed = self.engine.podman("logs", self.name)
        if check and status:
            raise AssertionError(f"{' '.join(self.command)}: exit {status}\n{printed.stdout}{printed.stderr}")
        return subprocess.CompletedProcess(list(self.command), status, printed.stdout, printed.stderr)

    @property
    def running(self) -> bool:
        """Until its end is written down."""
        try:
            conmon = Path(f"/proc/{self._pidfile.read_text().strip()}/cmdline").read_bytes()
        except OSError:
            return False
        return self.name.encode() in conmon.split(b"\0")

    @property
    def _pidfile(self) -> Path:
        return self.engine.run_dir / f"{self.name}.pid"

    def execute(self, *command: str, check: bool = True, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `command` in it."""
        return self.engine.podman("exec", self.name, *command, check=check, timeout_s=timeout_s)

    def signal(self, name: str) -> None:
        self.engine.podman("kill", "--signal", name, self.name)

    def log(self) -> str:
        done = self.engine.podman("logs", self.name, check=False)
        return done.stdout + done.stderr

    def inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.engine.podman("container", "inspect", self.name).stdout)[0]
        return found

    @property
    def pid(self) -> int:
        """Of its first process, as this machine counts."""
        return int(self.inspect()["State"]["Pid"])
