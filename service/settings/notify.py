"""Handlers and subscriptions: where messages go, and who hears of what."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from service.settings.section import Section, Words, read_files

# An option of a handler with such a name is not shown; handlers' own types say it exactly, but live elsewhere.
_SECRETIVE = re.compile(r"url|token|secret|password|key|dsn|auth", re.IGNORECASE)


class HandlerSettings(BaseModel):
    """Where notifications go. `kind` picks the handler; the other keys are that handler's own options.

    As everywhere, `x_file` is read into `x`; which options there are, the handler checks when the service starts.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    kind: str = Field(description="Which handler: `console`, `webhook` ...")

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        files = [k for k in data if isinstance(k, str) and k.endswith("_file")]
        read = dict(read_files(data, files))
        hidden = {f.removesuffix("_file") for f in files} | {k for k in read if _SECRETIVE.search(str(k))}
        return {k: SecretStr(v) if k in hidden and isinstance(v, str) else v for k, v in read.items()}

    @property
    def options(self) -> dict[str, Any]:
        """What the handler is made with: secrets in plain."""
        extra = self.model_extra or {}
        return {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in extra.items()}


class Subscription(Section):
    """Which handler hears of what."""

    to: str = Field(description="A handler's name.")
    on: Words = Field(
        default=("*",), description="Events, as `run.failed`; patterns such as `run.*` and `*` are allowed."
    )
    projects: Words = Field(default=("*",), description="Patterns of the projects that it hears of.")
    refs: Words = Field(default=("*",), description="Patterns of branch and tag names that it hears of.")
    severity: Literal["info", "warning", "error"] = Field(
        default="info", description="The least severity that it hears of."
    )


CONSOLE = HandlerSettings(kind="console")
