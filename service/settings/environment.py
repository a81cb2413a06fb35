"""`GITOPS_*` variables laid over the file: `GITOPS_SERVER__PORT=9000` is `server: {port: 9000}`.

Entries are named as they are in the file, by name or by number: `GITOPS_REPOSITORIES__FRAUD__WEBHOOK_SECRETS_FILE`,
`GITOPS_HANDLERS__TEAM_ML__TOKEN` (for `team-ml`: case and `-` `_` make no difference). A whole section or list is
JSON or YAML. An empty variable counts as not set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel

from service.settings.model import Settings
from service.settings.problems import Loc, Problem
from service.settings.shape import entry, holds_secrets, is_mapping, is_secret, place, section

PREFIX = "GITOPS_"
# Variables of other parts of the project: the file's place, the CLI's service and token.
OTHERS = frozenset({"GITOPS_CONFIG", "GITOPS_URL", "GITOPS_TOKEN"})
# Crash points (`service.faults`), tests and benchmarks (`service.references`); the rest is what Kubernetes injects for a Service that is named `gitops`.
OTHER_PREFIXES = ("GITOPS_BENCH_", "GITOPS_CLOCK_", "GITOPS_CRASH_", "GITOPS_TEST_", "GITOPS_SERVICE_", "GITOPS_PORT")


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    path: tuple[str, ...]
    value: str


def variables(environ: Mapping[str, str]) -> Iterator[Variable]:
    """The variables that are settings."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in OTHERS or name.startswith(OTHER_PREFIXES) or not environ[name]:
            continue
        yield Variable(name, tuple(name.removeprefix(PREFIX).lower().split("__")), environ[name])


def overlay(data: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[Loc, str], list[Problem]]:
    """Put the variables into `data`; which places came from which variable, and what could not be read."""
    origins: dict[Loc, str] = {}
    problems: list[Problem] = []
    for variable in variables(environ):
        try:
            origins[_put(data, variable)] = variable.name
        except _MisplacedError as error:
            problems.append(Problem(variable.name, str(error)))
    return origins, problems


class _MisplacedError(Exception):
    pass


def _put(data: dict[str, Any], variable: Variable) -> Loc:
    """Walk down data and model together; what is not there yet on the way is created."""
    loc: list[int | str] = []
    here: Any = data
    annotation: Any = Settings
    for depth, word in enumerate(variable.path):
        key = _key(here, annotation, word)
        loc.append(key)
        annotation = place(Settings, tuple(loc)).annotation
        if depth == len(variable.path) - 1 or annotation is None:  # an unknown key is put in too: the model names it
            here[key] = _value(annotation, variable.value)
            break
        here = _step(here, key, annotation)
        if not isinstance(here, (dict, list)):
            raise _MisplacedError(f"leads below {word}, which has no keys")
    return tuple(loc)


def _step(here: Any, key: int | str, below: Any) -> Any:
    if isinstance(here, dict) and here.get(key) is None:
        here[key] = {} if section(below) is not None or is_mapping(below) else [] if entry(below) else None
    return here[key]


def _key(here: Any, annotation: Any, word: str) -> int | str:
    """The key that `word` means: spelled as it is in the file, an entry's number, or a new one's."""
    if isinstance(here, dict):
        return next((k for k in here if isinstance(k, str) and _same(k, word)), word)
    names = [e.get("name") if isinstance(e, dict) else None for e in here]
    found = next((i for i, name in enumerate(names) if isinstance(name, str) and _same(name, word)), None)
    if found is None and word.isdigit():
        found = int(word)
    if found is None or found == len(here):
        if section(entry(annotation)) is None:
            raise _MisplacedError(f"{word} is no number of an entry")
        here.append({"name": word} if found is None else {})
        found = len(here) - 1
    if found > len(here):
        raise _MisplacedError(f"there are only {len(here)} entries")
    return found


def _same(name: str, word: str) -> bool:
    return name.lower().replace("-", "_").replace(".", "_") == word.replace("-", "_").replace(".", "_")


def _value(annotation: Any, text: str) -> Any:
    """A scalar stays text, which the model understands; lists of words and secrets too; anything else is YAML."""
    inner = entry(annotation)
    structured = section(annotation) is not None or is_mapping(annotation) or (inner is not None and section(inner))
    if not structured and not text.lstrip().startswith("["):
        return text
    if inner is not None and is_secret(inner) and not structured:
        return _yaml(text) if _is_list(text) else text
    return _yaml(text)


def _is_list(text: str) -> bool:
    try:
        return isinstance(_yaml(text), list)
    except _MisplacedError:
        return False


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: of a date that is none
        raise _MisplacedError("is neither JSON nor YAML") from None


def forget_secrets(environ: MutableMapping[str, str]) -> None:
    """Take what is or may hold a secret out of `environ`, so that no child process inherits it."""
    for variable in list(variables(environ)):
        if _may_hold_secrets(Settings, variable.path):
            del environ[variable.name]
    environ.pop("GITOPS_TOKEN", None)


def _may_hold_secrets(model: type[BaseModel], path: tuple[str, ...]) -> bool:
    """A list's or mapping's entry is any word; what the model does not know is taken for a secret."""
    annotation: Any = model
    for word in path:
        here, inner = section(annotation), entry(annotation)
        if here is not None:
            found = place(here, (word,)).annotation
            if found is None:
                return True
            annotation = found
        elif inner is not None:
            annotation = inner
    return holds_secrets(annotation)
