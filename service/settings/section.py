"""What every section of the settings shares: the kinds of values it may hold, and secrets that are read from files.

A section refuses keys it does not know. A secret `x` may be given as `x_file` instead: the path of a file whose
content, without the newline at its end, is the secret; a list of secrets is a file with one a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from service.settings.problems import at, wrong
from service.settings.shape import is_secret

NAME = re.compile(r"^[a-z0-9]([-a-z0-9_.]{0,98}[a-z0-9])?$")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: Any) -> Any:
    """`90`, `"90s"`, `"3m"`, `"2h"`, `"1d"` → seconds."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", value.strip())
    if not found:
        raise ValueError("is no duration; write for example 90s, 3m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def _words(value: Any) -> Any:
    """`"a, b"` → `["a", "b"]`: one value needs no brackets, and the environment has none."""
    return [w.strip() for w in value.split(",") if w.strip()] if isinstance(value, str) else value


def lines(value: Any) -> Any:
    if isinstance(value, str) and value != "insecure":
        return [line.strip() for line in value.splitlines() if line.strip()]
    return value


def _name(value: str) -> str:
    if not NAME.match(value):
        raise ValueError("is no name; use lower-case letters, digits and - _ . (at most 100)")
    return value


def _http_url(value: str) -> str:
    if not re.match(r"^https?://[^\s/@]+(/\S*)?$", value):
        raise ValueError("is no address; write for example https://gitops.example.com")
    return value.rstrip("/")


Duration = Annotated[float, BeforeValidator(seconds), Field(ge=0)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Name = Annotated[str, Field(max_length=100), BeforeValidator(lambda v: _name(v) if isinstance(v, str) else v)]
HandlerName = Annotated[str, Field(max_length=64), BeforeValidator(lambda v: _name(v) if isinstance(v, str) else v)]
HttpUrl = Annotated[str, BeforeValidator(lambda v: _http_url(v) if isinstance(v, str) else v)]
# `insecure` is the only way to have none.
Secrets = Annotated[tuple[SecretStr, ...] | Literal["insecure"], BeforeValidator(lines)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        files = [f"{name}_file" for name, f in cls.model_fields.items() if is_secret(f.annotation)]
        return dict(read_files(data, [f for f in files if f in data]))


def read_files(data: Mapping[str, Any], keys: list[str]) -> Iterator[tuple[str, Any]]:
    """`data` with each of `keys` (`x_file`) replaced by `x`, the file's content."""
    yield from ((k, v) for k, v in data.items() if k not in keys)
    for key in keys:
        name = key.removesuffix("_file")
        if data[key] is None:
            continue
        if data.get(name) is not None:
            raise wrong(at((key,), f"stands beside {name}", mend="give one of the two"))
        yield name, read_secret(key, data[key])


def read_secret(key: str, path: Any) -> str:
    """The secret in a file. The error names the file, never what is in it."""
    try:
        secret = Path(str(path)).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise wrong(at((key,), what, mend="check the path and who may read it", value=str(path))) from error
    except UnicodeDecodeError as error:
        raise wrong(at((key,), "holds no text", value=str(path))) from error
    if not secret:
        raise wrong(at((key,), "is an empty file", mend="write the secret into it", value=str(path)))
    return secret
