"""A pod's volumes as folders of the machine, laid out and owned as kubelet does it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.peers.kubernetes.api import Document
from tests.peers.kubernetes.kubelet.environment import Facts
from tests.peers.kubernetes.kubelet.node_api import Absent, NodeApi

_DEFAULT_MODE = 0o644
_SOURCES = {"secret": ("secrets", "secretName"), "configMap": ("configmaps", "name")}


@dataclass(frozen=True)
class Volume:
    """`read_only`: whatever the mount says, as with every kind that kubelet writes itself."""

    folder: Path
    read_only: bool = False


@dataclass(frozen=True)
class File:
    """One file of a volume that kubelet writes."""

    content: bytes
    mode: int


Files = dict[str, File]


async def lay_out(root: Path, facts: Facts, api: NodeApi) -> dict[str, Volume]:
    """The pod's volumes by name, under `root`. Raises Absent for what they refer to and is not there."""
    spec = facts.pod["spec"]
    group = (spec.get("securityContext") or {}).get("fsGroup")
    found = {}
    for volume in spec.get("volumes") or []:
        folder = root / volume["name"]
        folder.mkdir(parents=True, exist_ok=True)
        found[volume["name"]] = await _one(volume, folder, group, facts, api)
    return found


async def _one(volume: Document, folder: Path, group: int | None, facts: Facts, api: NodeApi) -> Volume:
    if "emptyDir" in volume:
        folder.chmod(0o777)
        return _owned(Volume(folder), group)
    if "hostPath" in volume:
        return Volume(Path(volume["hostPath"]["path"]))
    if "persistentVolumeClaim" in volume:
        claim = volume["persistentVolumeClaim"]
        return _owned(Volume(await _claimed(claim["claimName"], facts, api), claim.get("readOnly", False)), group)
    files = await _files(volume, facts, api)
    _write(folder, files)
    return _owned(Volume(folder, read_only=True), group)


async def _claimed(name: str, facts: Facts, api: NodeApi) -> Path:
    """The folder behind a claim that is bound to a volume of the kind hostPath."""
    namespace = facts.pod["metadata"]["namespace"]
    claim = await api.referred(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
    volume = await api.referred(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
    folder = Path(volume["spec"]["hostPath"]["path"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _files(volume: Document, facts: Facts, api: NodeApi) -> Files:
    """What a volume of the kinds secret, configMap, downwardAPI and projected holds."""
    if "projected" not in volume:
        return await _source(volume, volume, facts, api)
    projected, found = volume["projected"], {}
    for source in projected.get("sources") or []:
        found.update(await _source(source, {**projected}, facts, api))
    return found


async def _source(source: Document, owner: Document, facts: Facts, api: NodeApi) -> Files:
    namespace = facts.pod["metadata"]["namespace"]
    for field, (kind, naming) in _SOURCES.items():
        if field in source:
            wish = source[field]
            mode = wish.get("defaultMode", owner.get("defaultMode", _DEFAULT_MODE))
            name = wish.get(naming) or wish["name"]
            data = await api.data(kind, namespace, name)
            if data is None and not wish.get("optional"):
                raise Absent(f'{kind[:-1]} "{name}" not found')
            return _picked(data or {}, wish, mode, name)
    mode = owner.get("defaultMode", _DEFAULT_MODE)
    if "downwardAPI" in source:
        wish = source["downwardAPI"]
        mode = wish.get("defaultMode", mode)
        items = [item for item in wish.get("items") or [] if "fieldRef" in item]
        return {
            item["path"]: File(facts.field(item["fieldRef"]["fieldPath"]).encode(), item.get("mode", mode))
            for item in items
        }
    wish = source["serviceAccountToken"]
    # Only its owner reads a token: the group too where the pod has one (fsGroup), by the rule for every volume.
    return {wish["path"]: File((await _token(wish, facts, api)).encode(), 0o600)}


def _picked(data: dict[str, bytes], wish: Document, mode: int, name: str) -> Files:
    """All keys, or those that `items` names, where it wants them."""
    if not wish.get("items"):
        return {key: File(value, mode) for key, value in data.items()}
    found = {}
    for item in wish["items"]:
        if item["key"] in data:
            found[item["path"]] = File(data[item["key"]], item.get("mode", mode))
        elif not wish.get("optional"):
            raise Absent(f"references non-existent {'secret' if 'secretName' in wish else 'config'} key: {item['key']}")
    return found


async def _token(wish: Document, facts: Facts, api: NodeApi) -> str:
    meta = facts.pod["metadata"]
    account = facts.pod["spec"]["serviceAccountName"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    audiences = [wish["audience"]] if wish.get("audience") else []
    spec = {"audiences": audiences, "expirationSeconds": wish.get("expirationSeconds", 3600), "boundObjectRef": bound}
    answer = await api.ask(
        "POST",
        f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
    )
    token: str = answer["status"]["token"]
    return token


def _write(folder: Path, files: Files) -> None:
    """As kubelet's atomic writer: the files lie in a folder that `..data` points to, and each name is a link there."""
    real = folder / "..2000_01_01_00_00_00.000000001"
    real.mkdir(mode=0o755)
    for name, file in files.items():
        path = real / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    (folder / "..data").symlink_to(real.name)
    for name in {Path(name).parts[0] for name in files}:
        (folder / name).symlink_to(f"..data/{name}")
    folder.chmod(0o1777)


def _owned(volume: Volume, group: int | None) -> Volume:
    """fsGroup: everything is the group's, who reads it, and writes it unless the volume is read-only."""
    if group is None:
        return volume
    for path in _tree(volume.folder):
        mode = stat.S_IMODE(path.stat().st_mode)
        os.chown(path, -1, group)
        wanted = 0o440 if volume.read_only else 0o660
        path.chmod(mode | wanted | (0o2110 if path.is_dir() else 0))
    return volume


def _tree(folder: Path) -> Iterator[Path]:
    yield folder
    for path in folder.rglob("*"):
        if not path.is_symlink():
            yield path
