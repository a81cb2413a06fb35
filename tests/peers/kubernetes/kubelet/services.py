"""Services by name, without a network for them: every Service's name leads to this machine, in each pod's own /etc/hosts.

So a Service works as in a cluster where its port is also the port that its pods listen at.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from tests.peers.kubernetes.api import ApiError, Document
from tests.peers.kubernetes.kubelet.node_api import NodeApi

_PATH = "/api/v1/services"
_RETRY_S = 1.0
_HEAD = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class Services:
    """Follows all Services; the files it gave out change with them."""

    def __init__(self, api: NodeApi) -> None:
        self._api = api
        self._known: dict[str, tuple[str, str]] = {}
        self._files: dict[Path, Document] = {}

    def file(self, path: Path, pod: Document) -> Path:
        """/etc/hosts of that pod, to be bound there."""
        self._files[path] = pod
        self._write(path)
        return path

    def forget(self, pod: Document) -> None:
        self._files = {path: other for path, other in self._files.items() if other is not pod}

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            try:
                listed = await self._api.get(_PATH)
                self._known = {_uid(one): _name(one) for one in listed["items"]}
                self._write_all()
                async for kind, service in self._api.watch(_PATH, listed["metadata"]["resourceVersion"]):
                    if kind == "ERROR":
                        break
                    self._change(kind, service)
            except (ApiError, httpx.HTTPError):
                pass  # what is known stays known until it can be asked again
            await asyncio.sleep(_RETRY_S)

    def _change(self, kind: str, service: Document) -> None:
        before = dict(self._known)
        if kind == "DELETED":
            self._known.pop(_uid(service), None)
        elif kind in ("ADDED", "MODIFIED"):
            self._known[_uid(service)] = _name(service)
        if self._known != before:
            self._write_all()

    def _write_all(self) -> None:
        for path in self._files:
            self._write(path)

    def _write(self, path: Path) -> None:
        """In its place: a container holds the file, not its name."""
        meta = self._files[path]["metadata"]
        lines = [_line(meta["name"])]
        for namespace, name in sorted(self._known.values()):
            names = [f"{name}.{namespace}{end}" for end in ("", ".svc", ".svc.cluster.local")]
            lines.append(_line(*names, *([name] if namespace == meta["namespace"] else [])))
        path.write_text(_HEAD + "".join(lines))


def _line(*names: str) -> str:
    return f"127.0.0.1\t{' '.join(names)}\n"


def _uid(service: Document) -> str:
    return str(service["metadata"]["uid"])


def _name(service: Document) -> tuple[str, str]:
    return service["metadata"]["namespace"], service["metadata"]["name"]
