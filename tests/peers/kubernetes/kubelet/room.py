"""The room of a container in process mode: this machine's files below, a layer of its own above, its volumes in it.

Everything is mounted in a mount namespace that ends with the container, so nothing of it is left on the machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.kubernetes.kubelet import kernel

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
# Made anew for the container, or of no use to it.
_OWN = ("/proc", "/dev", "/sys", "/run", "/tmp", "/mnt")


@dataclass(frozen=True)
class Bind:
    """`source`, a file or folder of the machine, is seen at `target`."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class User:
    """Who the container's processes are (None: who the image says), and what they may not do."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    no_new_privileges: bool = False
    drop_all: bool = False


@dataclass(frozen=True)
class Room:
    """What `enter` makes. `folder` is empty and stays so outside; `hidden` folders of the machine are empty inside.

    `files`, absolute path → text, are the image's own.
    """

    folder: Path
    hostname: str
    workdir: str
    user: User
    binds: tuple[Bind, ...] = ()
    hidden: tuple[Path, ...] = ()
    read_only: bool = False
    files: dict[str, str] = field(default_factory=dict)

    def enter(self) -> None:
        """In the child, between fork and exec. What fails is told in the container's log."""
        try:
            self._build()
        except BaseException as error:
            os.write(2, f"the stand-in for kubelet could not make the container: {error}\n".encode())
            raise

    def _build(self) -> None:
        kernel.unshare(kernel.NEW_MOUNTS | kernel.NEW_NAMES)
        kernel.mount("none", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
        elsewhere = _mounts()
        kernel.mount("none", str(self.folder), "tmpfs", options="mode=0755")
        upper, work, root = (self.folder / name for name in ("upper", "work", "root"))
        for path in (upper, work, root):
            path.mkdir(mode=0o755)
        kernel.mount("none", str(root), "overlay", options=f"lowerdir=/,upperdir={upper},workdir={work}")
        for point in elsewhere:
            kernel.mount(point, f"{root}{point}", flags=kernel.BIND)
        kernel.mount("proc", f"{root}/proc", "proc")
        kernel.mount("/sys", f"{root}/sys", flags=kernel.BIND)
        _devices(root / "dev")
        for name, text in self.files.items():
            _lay(root / name.lstrip("/"), text)
        for bind in self.binds:
            _bind(bind, root)
        for folder in self.hidden:
            kernel.mount("none", f"{root}{folder}", "tmpfs", options="mode=0755,size=4k")
        (root / self.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
        if self.read_only:
            kernel.mount("none", str(root), flags=kernel.REMOUNT | kernel.BIND | kernel.READ_ONLY)
        kernel.set_hostname(self.hostname)
        kernel.change_root(str(root))
        os.chdir(self.workdir)
        os.umask(0o022)
        user = self.user
        kernel.become(
            user.uid or 0, user.gid or 0, user.groups, no_new_privileges=user.no_new_privileges, drop_all=user.drop_all
        )


def _mounts() -> list[str]:
    """Where something else is mounted on this machine: an overlay over / does not show it."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words, _, kind = line.partition(" - ")
        point = words.split()[4].replace("\\040", " ")
        # Not the roots of other containers either.
        if point != "/" and not point.startswith(_OWN) and Path(point).is_dir() and not kind.startswith("overlay "):
            points.append(point)
    return list(dict.fromkeys(points))


def _devices(folder: Path) -> None:
    kernel.mount("none", str(folder), "tmpfs", kernel.NO_SUID, "mode=0755,size=64k")
    for name in _DEVICES:
        (folder / name).touch()
        kernel.mount(f"/dev/{name}", str(folder / name), flags=kernel.BIND)
    for name, target in _LINKS.items():
        (folder / name).symlink_to(target)
    (folder / "shm").mkdir()
    kernel.mount("none", str(folder / "shm"), "tmpfs", options="mode=1777,size=64m")


def _lay(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def _bind(bind: Bind, root: Path) -> None:
    # Resolved within the container: its /var/run is a link to /run.
    target = _inside(root, bind.target)
    if bind.source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    kernel.mount(str(bind.source), str(target), flags=kernel.BIND | kernel.RECURSIVE)
    if bind.read_only:
        kernel.mount("none", str(target), flags=kernel.REMOUNT | kernel.BIND | kernel.READ_ONLY)


def _inside(root: Path, path: str) -> Path:
    """`path` under `root`, where an absolute link means one from `root` on."""
    found = root
    for part in Path(path).parts[1:]:
        found /= part
        if found.is_symlink():
            target = found.readlink()
            found = (
                _inside(root, str(target)) if target.is_absolute() else Path(os.path.normpath(found.parent / target))
            )
    return found
