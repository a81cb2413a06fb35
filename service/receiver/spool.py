"""Large bodies between their acknowledgement and their parsing: compressed files that survive a crash.

A body is on disk, file and directory, before the store says that its delivery exists; it goes after the store says that
it was parsed. A file whose delivery never came to be is swept away by the next start.
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from service import limits
from service.errors import StoreUnavailable

log = logging.getLogger(__name__)

_ENDING = ".body.z"
_PIECE = 1 * limits.MIB
# Younger files may belong to a delivery that is being written just now.
ORPHAN_AGE_S = 3600.0


class Spool:
    """Files in `folder`, named by delivery."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, delivery: str, body: bytes) -> str:
        """Returns the name to read it by, once it is durable. Raises StoreUnavailable."""
        name = delivery + _ENDING
        try:
            self._write(name, body)
        except OSError as error:
            self.remove(name)
            raise StoreUnavailable(
                f"a body of {len(body)} bytes could not be spooled: {error.strerror}",
                mend=f"Free space on the disk of {self._folder}, or look at its permissions",
            ) from error
        return name

    def get(self, name: str) -> bytes | None:
        """None when it is gone, or damaged beyond reading."""
        try:
            packed = zlib.decompressobj()
            body = packed.decompress((self._folder / name).read_bytes(), limits.WEBHOOK_BODY_BYTES)
        except (FileNotFoundError, zlib.error):
            return None
        return body if packed.eof else None

    def remove(self, name: str) -> None:
        """What can't be removed now is swept away by the next start."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("the spooled body %s was not removed: %s", name, error)

    def sweep(self, wanted: Callable[[str], bool]) -> int:
        """Remove the old files whose delivery is not `wanted` any more; returns how many."""
        if not self._folder.is_dir():
            return 0
        before = time.time() - ORPHAN_AGE_S
        old = [f for f in self._folder.iterdir() if f.name.endswith(_ENDING) and f.stat().st_mtime < before]
        orphans = [f for f in old if not wanted(f.name.removesuffix(_ENDING))]
        for orphan in orphans:
            self.remove(orphan.name)
        return len(orphans)

    def _write(self, name: str, body: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        packer = zlib.compressobj(1)
        view = memoryview(body)
        fd = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            for start in range(0, len(body), _PIECE):
                file.write(packer.compress(view[start : start + _PIECE]))
            file.write(packer.flush())
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(self._folder)


def _sync_directory(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def pack(body: bytes) -> bytes:
    """A body as its delivery's row keeps it: compressed where that is worth it."""
    if len(body) <= limits.DELIVERY_PLAIN_BYTES:
        return body
    packed = zlib.compress(body, 1)
    return packed if len(packed) < len(body) else body


def unpack(kept: bytes, size: int) -> bytes:
    """What `pack` was given; `size` is its length, which tells whether it was compressed."""
    return kept if len(kept) == size else zlib.decompress(kept)
