"""A project's name, read without running anything: from `.gitops.yaml`, from project.yaml, or from the repository.

The name decides which project a push is about before any code is loaded, so it must stand in a file.
"""

from __future__ import annotations

import hashlib
import re

from service.domain import yaml_guard
from service.domain.projects import Declaration
from service.domain.refs import short
from service.errors import GitopsFileError, ProjectFileError

# MLRun's rule (mlrun.utils.regex.project_name).
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST = 63
_DIGEST = 6
_MEND = "use lower-case letters, digits and dashes, at most 63, beginning and ending with a letter or digit"


def resolve(declaration: Declaration, project_yaml: str | bytes | None, *, repository: str, ref: str) -> str:
    """The name of the project that `declaration` means at `ref`.

    A name with `{ref}` in `.gitops.yaml` wins; else project.yaml's; else `.gitops.yaml`'s; else one made of the
    repository's name and the path. Raises GitopsFileError, ProjectFileError.
    """
    own = declared_name(project_yaml, path=declaration.path) if project_yaml is not None else None
    if declaration.name is not None and "{ref}" in declaration.name:
        return _fitted(declaration.name, slug(short(ref)))
    if own is not None and declaration.name not in (None, own):
        raise GitopsFileError(
            f".gitops.yaml names the project {declaration.name!r}, its project.yaml {own!r}",
            mend="remove one of the names, or make them equal",
        )
    if own is not None:
        return own
    if declaration.name is not None:
        return declaration.name
    where = repository if declaration.path == "." else f"{repository}-{declaration.path}"
    return _fitted("{ref}", slug(where))


def declared_name(project_yaml: str | bytes, *, path: str = ".") -> str | None:
    """`metadata.name` of a project.yaml, None where it has none. Raises ProjectFileError."""
    file = "project.yaml" if path == "." else f"{path}/project.yaml"
    document = yaml_guard.read(project_yaml, name=file, error=ProjectFileError, foreign_tags=True).value
    if document is None:
        return None
    if not isinstance(document, dict):
        raise ProjectFileError(f"{file} is not a mapping", mend="begin it with metadata: and spec:")
    metadata = document.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise ProjectFileError(f"{file}: metadata is not a mapping", mend="write metadata: {name: my-project}")
    name = metadata.get("name")
    if name is None or name == "":
        return None
    if not isinstance(name, str) or len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise ProjectFileError(f"{file}: metadata.name {str(name)[:100]!r} is no project name", mend=_MEND)
    return name


def slug(text: str) -> str:
    """`feature/New_Model` → `feature-new-model`: what a project's name may hold. Never empty."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain or _digest(text)


def _fitted(pattern: str, part: str) -> str:
    """`pattern` with `part` for `{ref}`, cut to MLRun's length; what is cut leaves a digest, so that names stay apart."""
    name = pattern.replace("{ref}", part)
    if len(name) <= _LONGEST:
        return name
    room = (_LONGEST - len(pattern.replace("{ref}", ""))) // pattern.count("{ref}") - _DIGEST - 1
    short_part = f"{part[: max(room, 0)].rstrip('-')}-{_digest(part)}".lstrip("-")
    name = pattern.replace("{ref}", short_part)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - _DIGEST - 1].rstrip('-')}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGEST]
