"""The settings' model looked at as a tree of keys: what stands at a place, and whether it is secret.

The environment overlay, the error texts and the reference page all ask here, so that they agree.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key stands: `loc` with what pydantic adds to it removed; `annotation` None when no such key exists."""

    loc: tuple[int | str, ...]
    annotation: Any
    siblings: frozenset[str] = frozenset()


def members(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, without Annotated around them."""
    if get_origin(annotation) is Annotated:
        yield from members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from members(one)
    else:
        yield annotation


def section(annotation: Any) -> type[BaseModel] | None:
    """The model, where a section stands."""
    return next((m for m in members(annotation) if isinstance(m, type) and issubclass(m, BaseModel)), None)


def entry(annotation: Any) -> Any:
    """What an entry of a list (or a value of a mapping) is, or None."""
    for one in members(annotation):
        if get_origin(one) in (tuple, list):
            return get_args(one)[0]
        if get_origin(one) is dict:
            return get_args(one)[1]
    return None


def is_mapping(annotation: Any) -> bool:
    return any(get_origin(m) is dict or m is dict for m in members(annotation))


def is_secret(annotation: Any) -> bool:
    """A secret or a list of them."""
    inner = entry(annotation)
    return any(m is SecretStr for m in members(annotation)) or (inner is not None and is_secret(inner))


def holds_secrets(annotation: Any) -> bool:
    """A secret stands here or somewhere below."""
    model, inner = section(annotation), entry(annotation)
    if model is not None:
        below = [f.annotation for f in model.model_fields.values()]
        return model.model_config.get("extra") == "allow" or any(holds_secrets(a) for a in below)
    return is_secret(annotation) or (inner is not None and holds_secrets(inner))


def place(model: type[BaseModel], loc: tuple[int | str, ...]) -> Place:
    """Follow `loc` down from `model`; parts that name no key (a union's branch) are left out."""
    annotation: Any = model
    kept: list[int | str] = []
    siblings: frozenset[str] = frozenset()
    for part in loc:
        if part == "[key]":  # pydantic's name for a mapping's key itself
            continue
        here, inner = section(annotation), entry(annotation)
        if here is not None and isinstance(part, str):
            kept.append(part)
            siblings = keys(here)
            annotation = _field(here, part)
        elif inner is not None and (isinstance(part, int) or is_mapping(annotation)):
            kept.append(part)
            annotation = inner
    return Place(tuple(kept), annotation, siblings)


def keys(model: type[BaseModel]) -> frozenset[str]:
    """Every key that may be written in this section."""
    plain = {name for name, f in model.model_fields.items()}
    return frozenset(plain | {f"{n}_file" for n, f in model.model_fields.items() if is_secret(f.annotation)})


def _field(model: type[BaseModel], key: str) -> Any:
    if key in model.model_fields:
        return model.model_fields[key].annotation
    stem = key.removesuffix("_file")
    if stem != key and stem in model.model_fields and is_secret(model.model_fields[stem].annotation):
        return str
    return None
