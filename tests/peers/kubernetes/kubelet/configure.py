"""From a container's spec to what an engine starts: environment, user, mounts, limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.kubernetes.api import Document
from tests.peers.kubernetes.kubelet.engine import Launch
from tests.peers.kubernetes.kubelet.environment import environment_of, expand
from tests.peers.kubernetes.kubelet.images import Image
from tests.peers.kubernetes.kubelet.logs import Log
from tests.peers.kubernetes.kubelet.room import Bind, User
from tests.peers.kubernetes.kubelet.volumes import Volume

if TYPE_CHECKING:
    from tests.peers.kubernetes.kubelet.pod import Pod

_UNITS = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "m": 1e-3,
}


class CannotConfigure(Exception):
    """The container can't be created as its spec says; the text is kubelet's."""


async def configure(
    pod: Pod, spec: Document, image: Image, volumes: dict[str, Volume], folder: Path, log: Log
) -> Launch:
    """Raises CannotConfigure, and Absent for a missing Secret, ConfigMap or key."""
    env = await environment_of(spec, image.environment(), pod.facts, pod.node.api)
    last_words = folder / "termination-log"
    last_words.touch()
    last_words.chmod(0o666)
    security = {**(pod.spec.get("securityContext") or {}), **(spec.get("securityContext") or {})}
    hosts = pod.node.services.file(folder / "hosts", pod.document)
    words = {name: _words(spec.get(name), env) for name in ("command", "args")}
    memory = (spec.get("resources") or {}).get("limits", {}).get("memory")
    binds = [_bind(mount, volumes, env) for mount in spec.get("volumeMounts") or []]
    user = _user(pod, spec, security, image)
    # As runc does for who is in no list of users.
    env.setdefault("HOME", "/" if user.uid else "/root")
    return Launch(
        identity=f"{pod.uid}-{spec['name']}-{folder.name}",
        image_name=spec["image"],
        image=image,
        command=words["command"],
        args=words["args"],
        env=env,
        workdir=spec.get("workingDir"),
        user=user,
        binds=(
            *binds,
            Bind(hosts, "/etc/hosts"),
            Bind(last_words, spec.get("terminationMessagePath", "/dev/termination-log")),
        ),
        folder=folder,
        hostname=pod.name,
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        memory=quantity(memory) if memory else None,
        log=log,
    )


def quantity(text: str) -> int:
    """A quantity as Kubernetes writes it, in whole units."""
    for unit, size in _UNITS.items():
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * size)
    return int(float(text))


def _words(words: list[str] | None, env: dict[str, str]) -> tuple[str, ...] | None:
    return tuple(expand(word, env) for word in words) if words else None


def _user(pod: Pod, spec: Document, security: Document, image: Image) -> User:
    uid = security.get("runAsUser")
    if security.get("runAsNonRoot"):
        where = f'(pod: "{pod.name}_{pod.namespace}({pod.uid})", container: {spec["name"]})'
        if uid is None and not image.user.partition(":")[0].isdigit():
            what = f"container has runAsNonRoot and image has non-numeric user ({image.user})"
            raise CannotConfigure(f"{what}, cannot verify user is non-root {where}")
        if int(image.user.partition(":")[0] if uid is None else uid) == 0:
            who = "image will run as root" if uid is None else "runAsUser is set to 0: it will run as root"
            raise CannotConfigure(f"container has runAsNonRoot and {who} {where}")
    name, _, group = (int(part) if part.isdigit() else None for part in image.user.partition(":"))
    groups = [*(security.get("supplementalGroups") or [])]
    if "fsGroup" in security:
        groups.append(security["fsGroup"])
    return User(
        uid=name if uid is None else uid,
        gid=security.get("runAsGroup", group if uid is None else None),
        groups=tuple(groups),
        no_new_privileges=security.get("allowPrivilegeEscalation") is False,
        drop_all="ALL" in ((security.get("capabilities") or {}).get("drop") or []),
    )


def _bind(mount: Document, volumes: dict[str, Volume], env: dict[str, str]) -> Bind:
    volume = volumes[mount["name"]]
    inner = mount.get("subPath") or expand(mount.get("subPathExpr", ""), env)
    source = volume.folder / inner
    if ".." in Path(inner).parts:
        raise CannotConfigure(f"failed to prepare subPath for volumeMount \"{mount['name']}\": must not contain '..'")
    if inner and not source.exists():
        source.mkdir(mode=0o777, parents=True)
    return Bind(
        source.resolve() if inner else source, mount["mountPath"], volume.read_only or mount.get("readOnly", False)
    )
