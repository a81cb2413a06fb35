"""What is wrong with the settings, told so that it can be mended: the key, the value, what to write instead.

A value is shown only where it can't be a secret: of a plain key that the model knows and does not call secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from service.errors import SettingsError
from service.settings.shape import Place, entry, is_secret, place, section

Loc = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """`key` is dotted, list entries with their index: `repositories[0].url`."""

    key: str
    what: str
    mend: str = ""
    value: str = ""
    origin: str = ""

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        origin = f" (from {self.origin})" if self.origin else ""
        return f"{self.key}{shown}{origin}: {self.what}" + (f"; {self.mend}" if self.mend else "")


def dotted(loc: Iterable[int | str]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the file"


def at(loc: Loc, what: str, *, mend: str = "", value: Any = None) -> InitErrorDetails:
    """One problem for `wrong`, at `loc` under the model whose validator raises it."""
    return InitErrorDetails(
        type=PydanticCustomError("setting", "{what}", {"what": what, "mend": mend}), loc=loc, input=value
    )


def wrong(*problems: InitErrorDetails) -> ValidationError:
    """What a model's validator raises to name the very keys that are wrong."""
    return ValidationError.from_exception_data("settings", list(problems))


def settings_error(source: str, problems: Iterable[Problem]) -> SettingsError:
    found = list(problems)
    if len(found) == 1:
        return SettingsError(f"{source}: {found[0]}", problems=found)
    lines = "".join(f"\n  {p}" for p in found)
    return SettingsError(f"{source}: {len(found)} settings are wrong{lines}", problems=found)


def problems_of(
    error: ValidationError, model: type[BaseModel], origin: Callable[[Loc], str] = lambda _: ""
) -> list[Problem]:
    return [_problem(e, model, origin) for e in error.errors(include_url=False)]


def _problem(error: ErrorDetails, model: type[BaseModel], origin: Callable[[Loc], str]) -> Problem:
    known = place(model, error["loc"])
    what, mend = _words(error, known)
    return Problem(dotted(known.loc), what, mend, shown(error["input"], known), origin(known.loc))


_PLAIN = {
    "missing": ("is missing", "add it"),
    "model_type": ("must be a mapping", "write `key: value` lines below it"),
    "invalid_key": ("has a key that is no text", "write the key in quotes"),
    "dict_type": ("must be a mapping", "write `key: value` lines below it"),
    "tuple_type": ("must be a list", "write one `- entry` a line"),
}


def _words(error: ErrorDetails, known: Place) -> tuple[str, str]:
    """What is wrong and how to mend it, in our words."""
    context: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "setting":
            return context["what"], context["mend"]
        case "extra_forbidden":
            near = difflib.get_close_matches(str(known.loc[-1]), known.siblings, n=1)
            return (
                "no such setting",
                f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known.siblings))}",
            )
        case "literal_error":
            return "is none of the choices", f"write {context['expected']}"
        case "value_error":
            return str(context["error"]), ""
    return _PLAIN.get(error["type"], (re.sub(r"^Input should", "must", error["msg"]), ""))


def shown(value: Any, known: Place) -> str:
    """`value` as it may be printed: nothing of secrets, of unknown keys and of whole sections."""
    whole = section(known.annotation) or entry(known.annotation)
    if isinstance(value, (dict, list, tuple)) or value is None or whole or known.annotation is None:
        return ""
    if is_secret(known.annotation):
        return "***"
    text = re.sub(r"//[^/@\s]*@", "//***@", repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= 120 else text[:117] + "..."
