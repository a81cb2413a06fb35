"""settings.md: every key of config.yaml, from the typed settings and from the options of each handler."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.generate.markdown import block, code, page, sentence, table
from handlers import KINDS
from service.receiver import FORGES
from service.settings import Settings, section
from service.settings.shape import entry, is_mapping, is_secret, members
from service.settings.shape import section as section_of

_HEADS = ("key", "value", "default", "meaning", "environment")

_INTRO = """\
One YAML file, named by `--config` or `GITOPS_CONFIG`. A key that is not on this page is an error, and every error names
the key, what is wrong and the mend. `mlrun-gitops serve` reads it once, when it starts.

Every key is also an environment variable, which wins over the file: its path in upper case, with `__` between the parts.
Entries of lists and mappings are named by their name (`-` and `.` become `_`) or, in lists, by their number from 0; an
entry that the file does not have is made. A whole section or list may be given as JSON or YAML. An empty variable counts
as not set.

A *secret* `x` may be given as `x_file` instead: the path of a file that holds it, and whose last line's end does not count; a
list of secrets is a file with one a line. Files are the better way: no secret then stands in config.yaml or in the
environment. Secrets are shown as asterisks everywhere."""

# Keys that the file may hold and that nothing acts on.
_NOT_YET = {"auth.oidc": ""}

_EXAMPLE = """\
# config.yaml
data_dir: /var/lib/mlrun-gitops
server: {public_url: https://gitops.example.com}
repositories:
  - name: fraud
    url: https://git.example.com/ml/fraud.git
    webhook_secrets_file: fraud.webhook-secret
handlers:
  audit: {kind: webhook, url_file: audit-url, secret_file: audit-secret}
notify:
  - {to: audit, on: ["*"]}
  - {to: console, on: [run.failed], severity: error}"""


def text() -> str:
    return page(
        "Settings",
        "service/settings and the handlers",
        _INTRO,
        block(_EXAMPLE, "yaml"),
        "A *duration* is seconds or `90s`, `3m`, `2h`, `1d`. *Words* are a list of texts, or one text with commas. *Patterns*\n"
        "are words with `*`, `?` and `[..]`.",
        *_sections(Settings, "", "GITOPS_"),
        *_handlers(),
    )


def _sections(model: type[BaseModel], path: str, variable: str) -> Iterator[str]:
    """The model's own keys, then each section below it under a heading of its own."""
    title = f"`{path}`" if path else "The file"
    yield f"## {title}\n\n{sentence(model.__doc__)}"
    yield table(_HEADS, (_row(key, field, variable, path) for key, field in model.model_fields.items()))
    for key, field in model.model_fields.items():
        here, inner = section_of(field.annotation), entry(field.annotation)
        name = f"{path}.{key}".lstrip(".")
        if here is not None:
            yield from _sections(here, name, f"{variable}{key.upper()}__")
        elif inner is not None and (below := section_of(inner)) is not None:
            mark = ".NAME" if is_mapping(field.annotation) else "[]"
            part = "NAME" if mark == ".NAME" or "name" in below.model_fields else "0"
            yield from _sections(below, f"{name}{mark}", f"{variable}{key.upper()}__{part}__")


def _handlers() -> Iterator[str]:
    yield (
        "## Handlers by kind\n\nWhat `handlers.NAME` takes beside `kind`, for each kind. These options may be given by file too, "
        "as `x_file`."
    )
    for kind, handler in KINDS.items():
        model = handler.model
        yield f"### `{kind}`\n\n{sentence(model.__doc__) if model.__doc__ else ''}".rstrip()
        variable = "GITOPS_HANDLERS__NAME__"
        yield table(_HEADS, (_row(key, field, variable) for key, field in model.model_fields.items()))


def _row(key: str, field: FieldInfo, variable: str, path: str = "") -> tuple[str, ...]:
    secret = is_secret(field.annotation)
    keys = f"`{key}`, `{key}_file`" if secret else f"`{key}`"
    name = f"{variable}{key.upper()}"
    names = f"`{name}`, `{name}_FILE`" if secret else f"`{name}`"
    return (
        keys,
        value(field),
        default(field),
        f"{sentence(field.description)} {_forges(key)}{_not_yet(path, key)}".strip(),
        names,
    )


def _forges(key: str) -> str:
    return f"This version understands {', '.join(code(name) for name in sorted(FORGES))}. " if key == "forge" else ""


def _not_yet(path: str, key: str) -> str:
    return f"*Not yet:* {said}" if (said := _NOT_YET.get(f"{path}.{key}")) else ""


def value(field: FieldInfo) -> str:
    """What may be written there, in a few words."""
    if (known := _known_by_reader(field)) is not None:
        return known
    return _plain(field.annotation) + _bounds(field)


def _known_by_reader(field: FieldInfo) -> str | None:
    """A value that a reader of ours turns into what the model holds."""
    readers = {meta.func for meta in field.metadata if isinstance(meta, BeforeValidator)}
    if section.seconds in readers:
        return "duration"
    if section.lines in readers:
        return "secrets, or `insecure`"
    return None


def _plain(annotation: Any) -> str:
    kinds = [kind for kind in members(annotation) if kind is not type(None)]
    return " or ".join(dict.fromkeys(_kind(kind) for kind in kinds)) or "nothing"


_WORDS = {str: "text", int: "number", float: "number", bool: "`true`, `false`", Path: "path", SecretStr: "secret"}


def _kind(kind: Any) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    if get_origin(kind) is Literal:
        return ", ".join(code(choice) for choice in get_args(kind))
    if is_mapping(kind):
        return "entries by name"
    if (inner := entry(kind)) is not None:
        return "list of entries" if section_of(inner) else "secrets" if is_secret(inner) else "words"
    return "section" if section_of(kind) else getattr(kind, "__name__", str(kind))


def _bounds(field: FieldInfo) -> str:
    low = next((m.ge if isinstance(m, Ge) else m.gt for m in field.metadata if isinstance(m, (Ge, Gt))), None)
    high = next((m.le for m in field.metadata if isinstance(m, Le)), None)
    if low is not None or high is not None:
        return f", {low} to {high}" if high is not None else f", at least {low}"
    longest = next((m.max_length for m in field.metadata if isinstance(m, MaxLen)), None)
    shortest = next((m.min_length for m in field.metadata if isinstance(m, MinLen)), None)
    return f", {shortest or 1} to {longest} characters" if longest and shortest else ""


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    shown = field.get_default(call_default_factory=True)
    if shown is PydanticUndefined or shown is None or isinstance(shown, BaseModel):
        return "–"
    return _shown(shown)


def _shown(shown: Any) -> str:
    if isinstance(shown, (tuple, list)):
        return code([_data(one) for one in shown]) if shown else "none"
    if isinstance(shown, dict):
        return code({name: _data(one) for name, one in shown.items()}) if shown else "none"
    if isinstance(shown, Path):
        return code(f"./{shown}" if not shown.is_absolute() else str(shown))
    if isinstance(shown, float):
        return code(f"{shown:g}")
    return code(shown)


def _data(one: Any) -> Any:
    return one.model_dump(mode="json", exclude_defaults=True) if isinstance(one, BaseModel) else one
