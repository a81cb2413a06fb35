"""Slack: by a bot that keeps one message a run up to date, or by an incoming webhook that says each thing once.

`blocks` makes a message of Slack's out of one of ours, pure; `bot` and `incoming` bring it there; `web` is the way out, by
Slack's own SDK where there is a bot; `trouble` knows what Slack's refusals mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from handlers.http import Outbound
from handlers.memory import Memory, NoMemory
from handlers.message import Message
from handlers.slack.bot import Bot
from handlers.slack.incoming import Incoming

API = "https://slack.com/api/"
_ADDRESS = re.compile(r"https?://[^\s/@]+(/\S*)?")


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: SecretStr | None = Field(default=None, description="A bot's token (`xoxb-...`); goes with `channel`.")
    channel: str | None = Field(
        default=None, description="Where the bot writes: a channel's id (`C...`, best) or its name (`#ml`)."
    )
    url: SecretStr | None = Field(default=None, description="An incoming webhook, instead of `token` and `channel`.")
    api_url: str = Field(default=API, description="Slack's Web API, where it is not the usual one (GovSlack).")
    allow_private: bool = Field(default=False, description="Permit addresses of this machine and of private networks.")
    timeout: float = Field(default=10.0, gt=0, le=15, description="How many seconds Slack has to answer each call.")

    @field_validator("token")
    @classmethod
    def _is_a_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"(xoxe\.)?xox[bp]-[\w-]{8,}", value.get_secret_value()):
            raise ValueError("is no token of a Slack app; a bot's begins with xoxb- (OAuth & Permissions has it)")
        return value

    @field_validator("channel")
    @classmethod
    def _is_a_channel(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"#?[^\s#@,<>&]{1,80}", value):
            raise ValueError("is no channel; write its id, as C0123456789, or its name, as #ml")
        return value

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _ADDRESS.fullmatch(value.get_secret_value()):
            raise ValueError("is no address; write for example https://hooks.slack.com/services/...")
        return value

    @field_validator("api_url")
    @classmethod
    def _is_an_api(cls, value: str) -> str:
        if not _ADDRESS.fullmatch(value):
            raise ValueError(f"is no address; leave it out for {API}")
        return value.rstrip("/") + "/"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.token is None) == (self.url is None):
            raise ValueError(
                "needs either token (token_file) and channel, for a bot, or url (url_file), for an incoming webhook"
            )
        if (self.token is None) != (self.channel is None):
            raise ValueError("needs channel beside token, and has none beside url: an incoming webhook has its own")
        for address in ((self.url.get_secret_value() if self.url else ""), self.api_url):
            if address.startswith("http:") and not self.allow_private:
                raise ValueError("is unencrypted; write https://, or set allow_private for a private network")
        return self


class Slack:
    model: ClassVar[type[BaseModel]] = Options
    remembers: Literal[True] = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = Options.model_validate(dict(options))
        self._out = Outbound(allow_private=self._options.allow_private, timeout_s=self._options.timeout)

    def send(self, message: Message, memory: Memory | None = None) -> None:
        self._way.send(message, memory or NoMemory())

    def check(self) -> str:
        """What Slack says of the token, and whether the channel can be looked at; of a webhook only that its host answers."""
        return self._way.check()

    def close(self) -> None:
        """Let its connections go."""
        self._out.close()

    @cached_property
    def _way(self) -> Bot | Incoming:
        options = self._options
        if options.url is not None:
            return Incoming(options.url.get_secret_value(), self._out)
        from handlers.slack.web import Client

        assert options.token is not None
        assert options.channel is not None
        return Bot(Client(options.token.get_secret_value(), options.api_url, self._out), options.channel)
