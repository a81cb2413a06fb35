"""How a verb looks to typer, which knows no groups of options: every option is a parameter.

Where options go together, verbs are easier to read and to change with one parameter for them. So a verb may have a parameter
whose type is a dataclass (`words` has them), and is called with one made of the options that are its fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import wraps
from typing import Any


def spelled_out(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb` with the options of each group in the place of its parameter."""
    groups: dict[str, Any] = {}
    options: list[inspect.Parameter] = []
    for name, parameter in _parameters(verb).items():
        if is_dataclass(parameter.annotation):
            groups[name] = parameter.annotation
            options += _parameters(groups[name]).values()
        else:
            options.append(parameter)

    @wraps(verb)
    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{option: given.pop(option) for option in _parameters(group)})
        verb(**given)

    given_by_name = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options]
    called.__signature__ = inspect.Signature(given_by_name)  # type: ignore[attr-defined]  # what typer reads
    called.__annotations__ = {option.name: option.annotation for option in options}
    return called


def _parameters(called: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(called, eval_str=True).parameters
