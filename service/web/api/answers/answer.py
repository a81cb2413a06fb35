"""What every answer is, and how one tells of a failure."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class Failure(Answer):
    """What went wrong, and what to do about it."""

    code: str = Field(default="", description="The error's stable name, as `repository-unreachable`.")
    what: str = Field(default="", description="What happened, to what.")
    mend: str = Field(default="", description="What to do about it.")
    detail: str = Field(default="", description="Longer text: a traceback, git's words.")
