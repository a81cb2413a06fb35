"""The files of the job's commit: fetched, as often as it takes, and unpacked so that nothing lands outside of their folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from typing import Any

from .service import Service, UnavailableError

SHA256 = "Gitops-Sha256"
PIECE = 256 * 1024
# As the service's `CHECKOUT_*`.
FILES = 200_000
BYTES = 4 * 1024 * 1024 * 1024
DEPTH = 100


class BadArchiveError(Exception):
    """It holds what no commit of ours holds."""


class Download:
    """One archive at `path`; `try_again` goes on where the last try ended."""

    def __init__(self, service: Service, path: str) -> None:
        self._service = service
        self._path = path
        self._etag = ""

    def try_again(self) -> None:
        """Raises UnavailableError, RefusedError."""
        have = os.path.getsize(self._path) if self._etag and os.path.exists(self._path) else 0
        headers = {"Range": f"bytes={have}-", "If-Range": self._etag} if have else {}
        with self._service.source(headers) as response:
            resumed = response.status == 206
            self._etag = response.headers.get("ETag") or ""
            wanted = response.headers.get(SHA256) or ""
            with open(self._path, "ab" if resumed else "wb") as file:
                while True:
                    piece = response.read(PIECE)
                    if not piece:
                        break
                    if file.tell() > BYTES:
                        raise UnavailableError(f"the archive is larger than {BYTES} bytes")
                    file.write(piece)
        if _digest(self._path) != wanted:
            cut = response.length  # what was announced and did not come
            self._etag = self._etag if cut else ""
            raise UnavailableError("the archive did not arrive as it was sent")


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            digest.update(piece)
    return digest.hexdigest()


def unpack(archive: str, into: str) -> None:
    """The files in `archive`, in the new folder `into`, which is whole or absent. Raises BadArchiveError, OSError."""
    part = into + ".part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(into, ignore_errors=True)
    os.mkdir(part)
    links = []
    try:
        with tarfile.open(archive, "r:gz", encoding="utf-8", errors="surrogateescape") as packed:
            count = size = 0
            for member in packed:
                count, size = count + 1, size + member.size
                _check(member, count, size)
                path = os.path.join(part, member.name)
                os.makedirs(path if member.isdir() else os.path.dirname(path), exist_ok=True)
                if member.issym():
                    links.append((path, member.linkname))
                elif member.isreg():
                    _write(packed, member, path)
    except (tarfile.TarError, EOFError, ValueError) as exc:
        raise BadArchiveError(f"the archive is broken: {exc}") from exc
    for path, target in links:  # last, so that nothing is written through one
        os.symlink(target, path)
    root = os.path.join(os.path.realpath(part), "")
    for path, target in links:
        if os.path.isabs(target) or not os.path.join(os.path.realpath(path), "").startswith(root):
            raise BadArchiveError(f"the link {os.path.relpath(path, part)!r} leads out of it")
    os.rename(part, into)


def _check(member: Any, count: int, size: int) -> None:
    parts = member.name.split("/")
    if member.name.startswith("/") or not member.name or "\0" in member.name or set(parts) & {"", ".", ".."}:
        raise BadArchiveError(f"{member.name!r} is no name of a file in it")
    if not (member.isreg() or member.isdir() or member.issym()):
        raise BadArchiveError(f"{member.name!r} is neither a file nor a folder nor a link")
    if count > FILES or size > BYTES or len(parts) > DEPTH + 1:
        raise BadArchiveError(f"it holds more than {FILES} files or {BYTES} bytes, or folders too deep")


def _write(packed: Any, member: Any, path: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    mode = 0o777 if member.mode & 0o100 else 0o666  # less the umask, as git does it
    with open(os.open(path, flags, mode), "wb") as file:
        content = packed.extractfile(member)
        shutil.copyfileobj(content, file, PIECE)
    os.utime(path, (member.mtime, member.mtime))
