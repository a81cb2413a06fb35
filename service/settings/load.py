"""From a file and the environment to Settings, or to one error that lists everything that is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from service.domain.diff import looks_secret
from service.errors import SettingsError
from service.settings.checks import contradictions
from service.settings.environment import overlay
from service.settings.model import Settings
from service.settings.problems import Loc, dotted, problems_of, settings_error
from service.settings.shape import entry, holds_secrets, is_secret, section


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `path`, else from `GITOPS_CONFIG`, else from the environment alone.

    Raises SettingsError, whose `problems` are all that was found.
    """
    path = path or (Path(environ["GITOPS_CONFIG"]) if environ.get("GITOPS_CONFIG") else None)
    source = str(path) if path else "the environment"
    data = _read(path) if path else {}
    origins, problems = overlay(data, environ)

    def origin(loc: Loc) -> str:
        return next((name for place, name in origins.items() if loc[: len(place)] == place), "")

    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise settings_error(source, problems + problems_of(error, Settings, origin)) from None
    problems += contradictions(settings, root=os.geteuid() == 0)
    if problems:
        raise settings_error(source, problems)
    return settings


def secret_files(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """The files that secrets are read from, by key: those that settings name, and `path` itself if any stands in it.

    Raises SettingsError for a file that is no YAML.
    """
    path = path or (Path(environ["GITOPS_CONFIG"]) if environ.get("GITOPS_CONFIG") else None)
    data = _read(path) if path else {}
    inline = path is not None and _holds_secret(data, Settings)
    overlay(data, environ)
    return {**({"the settings themselves": path} if path and inline else {}), **dict(_files(data, ()))}


def _holds_secret(here: Any, annotation: Any) -> bool:
    """Whether a secret stands in the file itself: in its own place, or a plain text where a section with secrets may be."""
    if is_secret(annotation) or (isinstance(here, str) and annotation is not None and holds_secrets(annotation)):
        return here not in (None, "insecure", [], ())
    if isinstance(here, list):
        return any(_holds_secret(value, entry(annotation)) for value in here)
    if not isinstance(here, dict):
        return False
    if (model := section(annotation)) is None:
        return any(_holds_secret(value, entry(annotation)) for value in here.values())
    known = model.model_fields
    return any(
        _holds_secret(value, known[key].annotation)
        if key in known
        # A handler's own options, of which only their names tell.
        else isinstance(key, str) and looks_secret(key) and not key.endswith("_file")
        for key, value in here.items()
    )


def _files(here: Any, loc: Loc) -> Iterator[tuple[str, Path]]:
    if isinstance(here, (dict, list)):
        for key, value in here.items() if isinstance(here, dict) else enumerate(here):
            if isinstance(key, str) and key.endswith("_file") and isinstance(value, str):
                yield dotted((*loc, key)), Path(value)
            yield from _files(value, (*loc, key))


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 (_Loader is a SafeLoader)
    except OSError as error:
        mend = "name an existing file by --config or GITOPS_CONFIG"
        raise SettingsError(f"{path} cannot be read: {error.strerror}", mend=mend) from error
    except yaml.MarkedYAMLError as error:
        # Not the error's own text: it quotes the line, in which a secret may stand. A tag or an alias may be one too.
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        mend = "mend the YAML there; text that begins with ! or * or & stands in quotes"
        raise SettingsError(f"{path}{where}: {_QUOTE.sub('', error.problem or '')}", mend=mend) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise SettingsError(f"{path} is no YAML text in UTF-8", mend="see the reference of settings") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(
            f"{path} holds no settings", mend="write `key: value` lines, as the reference of settings shows"
        )
    return data


# What YAML's errors quote behind "the tag", "undefined tag handle", "undefined alias", "duplicate anchor".
_QUOTE = re.compile(r"(?<=(?:tag|dle|ias|hor)) ['\"].*", re.DOTALL)


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently take the last; `on` is a word, not true."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is a word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
