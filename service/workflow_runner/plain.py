"""Values as plain JSON, so that the service can keep and save them without MLRun or numpy."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import pathlib
from typing import Any, Union

Json = dict[str, Any]


class NotPlainError(Exception):
    """A value that JSON can't hold; says where it stands."""


def plain(value: Any, where: str, strict: bool = True) -> Any:  # noqa: C901 - one line a type
    """`value` as dicts, lists, texts, numbers, booleans and None.

    Dates become ISO texts, numpy scalars their Python twins, sets sorted lists. What JSON has no form for raises
    NotPlainError when `strict` (a project's configuration), else becomes its text (a result that a step logged).
    """
    if value is None or isinstance(value, (str, bool)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, enum.Enum):
        return plain(value.value, where, strict)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value), where, strict)
    if isinstance(value, dict):
        return {_key(key, where): plain(item, f"{where}.{key}", strict) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{index}]", strict) for index, item in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item, where, strict) for item in value), key=str)
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (pathlib.PurePath, decimal.Decimal)):
        return str(value)
    module = type(value).__module__
    if module.split(".")[0] == "numpy" and hasattr(value, "tolist"):
        return plain(value.tolist(), where, strict)
    if strict:
        raise NotPlainError(f"{where} is a {type(value).__name__}, which JSON has no form for")
    return str(value)


def _number(value: float, where: str, strict: bool) -> Union[float, str]:
    if math.isfinite(value):
        return value
    if strict:
        raise NotPlainError(f"{where} is {value}, which JSON has no form for; write a text or a finite number")
    return str(value)


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, (int, float, dt.date)):
        return str(key)
    raise NotPlainError(f"{where} has a key that is a {type(key).__name__}")
