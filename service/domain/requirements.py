"""The packages of a requirements file that go into an image, read strictly: names of an index, with versions, markers and hashes.

The file is written by whoever can push, and pip reads it where MLRun builds: beside the registry's credential and the project's secrets.
So nothing in it may name another index, another file or an address, and what it names is installed from wheels alone, as for processes:
no code of a package runs while the image is built. What is refused is not quoted whole, since addresses hold passwords.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from service import limits
from service.errors import PlanError

# Before all others: what pip is told besides.
WHEELS_ALONE = "--only-binary=:all:"

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_EXTRAS = r"(?:\s*\[[A-Za-z0-9._,\s-]*\])?"
_VERSION = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+"
_VERSIONS = rf"(?:\s*\(?\s*{_VERSION}(?:\s*,\s*{_VERSION})*\s*,?\s*\)?)?"
_MARKER = r"(?:\s*;[A-Za-z0-9_.,'\"()<>=!~\s*+-]+)?"
_PACKAGE = re.compile(rf"{_NAME}{_EXTRAS}{_VERSIONS}{_MARKER}")
_HASH = re.compile(r" --hash[= ]([a-z0-9]+:[0-9a-fA-F]+)")
_COMMENT = re.compile(r"(^| )#.*$")
_ADDRESS = re.compile(r"://|^[^;]*@|^\s*(git|hg|svn|bzr)\+")
_SAID = 60


def parse(text: bytes, name: str) -> tuple[str, ...]:
    """The packages that the file `name` names, one a line, in its order. Raises PlanError."""
    if len(text) > limits.REQUIREMENTS_BYTES:
        raise PlanError(
            f"{name} has {len(text)} bytes, and what MLRun's builder is given may have {limits.REQUIREMENTS_BYTES}",
            mend="name what your code imports; what that needs, pip finds",
        )
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise PlanError(f"{name} is no text in UTF-8: byte {error.start}", mend="save it as UTF-8") from error
    said = ((number, line) for number, line in _logical(lines) if line.replace(" ", "=") != WHEELS_ALONE)
    return tuple(dict.fromkeys(_package(line, f"{name}, line {number}") for number, line in said))


def _logical(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines that say something, each with the number of its first: as pip, which goes on reading behind a backslash."""
    said, begun = "", 0
    for number, line in enumerate(lines, 1):
        begun = begun or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            said += line[:-1]
            continue
        if said := _said(said + line):
            yield begun, said
        said, begun = "", 0
    if said := _said(said):
        yield begun, said


def _said(line: str) -> str:
    """Without its comment; with single spaces, since patterns take long over a thousand."""
    return _COMMENT.sub("", " ".join(line.split())).strip()


def _package(line: str, place: str) -> str:
    if line.startswith("-"):
        option = re.split(r"[= ]", line, maxsplit=1)[0] if line.startswith("--") else line[:2]  # -fhttps://...
        raise PlanError(
            f"{place}: {option[:_SAID]} is an option of pip, which a repository does not choose",
            mend="remove it; name packages alone. Where they come from is set where MLRun builds (PIP_INDEX_URL)",
        )
    hashes = _HASH.findall(line)
    package = _HASH.sub("", line).strip()
    if _ADDRESS.search(package):
        raise PlanError(
            f"{place}: {_first_word(package)} comes from an address of its own",
            mend="name a package of the index, with its version",
        )
    if package.startswith((".", "/", "~")) or package.endswith((".whl", ".tar.gz", ".zip")):
        raise PlanError(
            f"{place}: {_first_word(package)} is a file",
            mend="name packages of the index only; the project's own modules are importable anyway",
        )
    if not _PACKAGE.fullmatch(package):
        raise PlanError(
            f"{place}: {_first_word(package)} is no package as pip names them", mend="write for example pandas>=2,<3"
        )
    return " ".join([package, *(f"--hash={one}" for one in hashes)])


def _first_word(text: str) -> str:
    """Without what may be a password, as what stands right before an `@` may be."""
    if re.match(r"[^\s@]+@", text):
        return "what stands there"
    return repr(re.split(r"[\s@:;=<>!~\[(]", text, maxsplit=1)[0][:_SAID] or "what stands there")
