"""The workflow runner as one file, with equal bytes wherever and whenever it is packed.

The name has the content's hash: a service that was upgraded never runs the archive of the older one by mistake, and
runs that still use the older one keep it.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from io import BytesIO
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "workflow_runner"

# Its name inside of the archive: one that no repository's module has.
PACKAGE = "mlrun_gitops_runner"

MAIN = f"""\
import sys

if sys.version_info < (3, 7):
    sys.exit("gitops: Python %d.%d.%d is too old" % sys.version_info[:3])

from {PACKAGE}.__main__ import main

sys.exit(main(sys.argv[1:]))
"""

# The earliest time that a zip file can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)


def archive() -> bytes:
    """The archive's bytes."""
    files = {f"{PACKAGE}/{path.relative_to(SOURCE).as_posix()}": path.read_bytes() for path in SOURCE.rglob("*.py")}
    files["__main__.py"] = MAIN.encode()
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, files[name])
    return buffer.getvalue()


def pack(into: Path) -> Path:
    """Write `runner-<hash>.pyz` into the directory `into` unless it is there; its path."""
    content = archive()
    path = into / f"runner-{hashlib.sha256(content).hexdigest()[:16]}.pyz"
    if not path.exists() or path.read_bytes() != content:
        into.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)
    return path
