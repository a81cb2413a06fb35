"""The audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.web.api.answers.answer import Answer


class Audit(Answer):
    """Something that was asked for by API."""

    id: str = Field(description="Its id.")
    at: datetime = Field(description="When.")
    actor: str = Field(description="The name of the token; `loopback` where none is asked for.")
    action: str = Field(description="What, as `run.cancel`.")
    target: str = Field(description="Of what.")
    data: dict[str, Any] = Field(description="The request's own words.")
