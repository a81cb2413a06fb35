#!/usr/bin/env python3
"""What an image is made of, as CycloneDX: image/sbom.py IMAGE FILE. Debian's packages and Python's, read from the image's own files.

The image is not run, so nothing in it can hide; docker or podman (BUILDER, or whichever is here) hands its files out.
The same image gives the same document.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import IO, Any
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

_DPKG = "var/lib/dpkg/status"
_PYTHON = re.compile(r".*/python3[^/]*/(?:site|dist)-packages/[^/]+\.(?:dist|egg)-info/(?:METADATA|PKG-INFO)")
_RELEASE = "usr/lib/os-release"
# Longer ones are whole license texts, which belong into no list.
_LICENSE_CHARACTERS = 80


def main(image: str, to: Path) -> None:
    engine = _engine()
    about = json.loads(_asked(engine, "image", "inspect", image))[0]
    parts = sorted(components(engine, image, about["Config"].get("Env") or []))
    labels = about["Config"].get("Labels") or {}
    whole = Component(
        type=ComponentType.CONTAINER,
        name=labels.get("org.opencontainers.image.title", image),
        version=labels.get("org.opencontainers.image.version"),
        bom_ref="image",
    )
    bom = Bom(components=parts)
    bom.metadata.component = whole
    bom.register_dependency(whole, parts)
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), UTC)
    bom.serial_number = uuid5(NAMESPACE_OID, " ".join(about["RootFS"]["Layers"]))
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n", encoding="utf-8")


def _engine() -> str:
    """BUILDER, unless it only builds; else docker or podman."""
    named = os.environ.get("BUILDER", "")
    for name in ("" if named.endswith("buildah") else named, "docker", "podman"):
        if name and shutil.which(name):
            return name
    sys.exit("Neither docker nor podman is here, by which the image's files are read; install one of them.")


def components(engine: str, image: str, environment: list[str]) -> Iterator[Component]:
    """Each package once; a Python that is no package of Debian's tells its version by the image's environment."""
    debian: list[Message] = []
    distribution = ""
    for path, file in _files(engine, image):
        text = file.read().decode("utf-8", "replace")
        if path == _DPKG:
            debian = [Parser().parsestr(entry) for entry in text.split("\n\n") if entry.strip()]
        elif path == _RELEASE:
            found = dict(line.partition("=")[::2] for line in text.splitlines())
            distribution = f"{found.get('ID', 'linux')}-{found.get('VERSION_ID', '')}".replace('"', "")
        else:
            yield _of_python(Parser().parsestr(text, headersonly=True))
    for entry in debian:
        if entry["Status"] == "install ok installed":
            yield _of_debian(entry, distribution)
    for variable in environment:
        if variable.startswith("PYTHON_VERSION="):
            yield _component("generic", "python", variable.partition("=")[2])


def _files(engine: str, image: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Those files of the image that say what is installed."""
    container = _asked(engine, "create", image).strip().splitlines()[-1]
    try:
        with subprocess.Popen([engine, "export", container], stdout=subprocess.PIPE) as export:
            assert export.stdout is not None
            with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
                for member in archive:
                    path = member.name.removeprefix("./")
                    if member.isfile() and (path in (_DPKG, _RELEASE) or _PYTHON.fullmatch(path)):
                        file = archive.extractfile(member)
                        assert file is not None
                        yield path, file
            if export.wait():
                sys.exit(f"{engine} export {container}: exit {export.returncode}")
    finally:
        _asked(engine, "rm", "--force", container)


def _of_python(metadata: Message) -> Component:
    made = _component("pypi", canonicalize_name(metadata["Name"]), metadata["Version"])
    if expression := metadata["License-Expression"]:
        made.licenses.add(LicenseExpression(expression))
    elif (words := metadata["License"]) and len(words) <= _LICENSE_CHARACTERS and "\n" not in words:
        made.licenses.add(DisjunctiveLicense(name=words))
    return made


def _of_debian(entry: Message, distribution: str) -> Component:
    qualifiers = {"arch": entry["Architecture"], "distro": distribution}
    # What security trackers speak of is the source package, where it has another name or version.
    source = re.fullmatch(r"(\S+)(?: \((\S+)\))?", entry["Source"] or "")
    if source:
        qualifiers["upstream"] = source[1] + (f"@{source[2]}" if source[2] else "")
    return _component("deb", entry["Package"], entry["Version"], "debian", qualifiers)


def _component(
    kind: str, name: str, version: str, namespace: str | None = None, qualifiers: dict[str, str] | None = None
) -> Component:
    purl = PackageURL(type=kind, namespace=namespace, name=name, version=version, qualifiers=qualifiers)
    return Component(type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=str(purl))


def _asked(*command: Any) -> str:
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: image/sbom.py IMAGE FILE")
    main(sys.argv[1], Path(sys.argv[2]))
