"""The kubelet as a process of its own: `python -m tests.peers.kubernetes.kubelet DOCUMENT`, ended by the end of its input."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

from tests.peers.kubernetes.api import client_context
from tests.peers.kubernetes.kubelet.control import Control
from tests.peers.kubernetes.kubelet.images import Image
from tests.peers.kubernetes.kubelet.log_server import LogServer
from tests.peers.kubernetes.kubelet.node import Node, say
from tests.peers.kubernetes.kubelet.node_api import NodeApi
from tests.peers.kubernetes.kubelet.podman import PodmanEngine
from tests.peers.kubernetes.kubelet.process import ProcessEngine
from tests.peers.kubernetes.pki import Identity


async def main(wish: dict[str, Any]) -> None:
    authority = Path(wish["authority"])
    client = Identity(*(Path(path) for path in wish["client"]))
    serving = Identity(*(Path(path) for path in wish["serving"]))
    api = NodeApi(wish["server"], client_context(authority, client))
    images = {name: Image.of(document) for name, document in wish["images"].items()}
    processes = ProcessEngine(images, tuple(Path(path) for path in wish["hidden"]))
    node = Node(api, wish["name"], wish["port"], Path(wish["folder"]), wish["capacity"])
    node.processes = processes
    if wish["podman"]:
        node.podman = podman = PodmanEngine(wish["podman"])
        await podman.clear()
    logs = LogServer(wish["port"], _serving_context(authority, serving), node.find)
    await logs.open()
    work = asyncio.create_task(node.run())
    obeying = asyncio.create_task(Control(node, processes, logs).obey())
    await asyncio.wait({work, obeying}, return_when=asyncio.FIRST_COMPLETED)
    for task in (work, obeying):
        if task.done() and (error := task.exception()):
            say(f"the kubelet failed: {error!r}")
        task.cancel()
    await node.end()
    if wish["podman"]:
        await podman.clear()
    await api.close()


def _serving_context(authority: Path, serving: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(serving.certificate, serving.key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
