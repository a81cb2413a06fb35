"""Child processes awaited by their pidfd, so that the kubelet needs no thread for any of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence


def end_of(process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """Its return code (negative for a signal) as soon as it ends. To be asked once, right after its start; reaps it."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    descriptor = os.pidfd_open(process.pid)

    def reap() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        ended.set_result(process.wait())

    loop.add_reader(descriptor, reap)
    return ended


async def run(words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a program to its end: its return code, and what it said on standard output and error."""
    process = subprocess.Popen(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    ended = end_of(process)
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), process.stdout
    )
    try:
        said = await reader.read()
    finally:
        transport.close()
    return await ended, said.decode(errors="replace")
