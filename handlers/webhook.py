"""Posts each message as JSON, signed as Standard Webhooks has it, so that any of its libraries can verify it.

`webhook-id` is the message's id: a receiver that has seen it may drop it.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from handlers.http import Outbound
from handlers.message import Message

# What the specification asks of a secret, in bytes.
SECRET_BYTES = range(24, 65)


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: SecretStr = Field(description="Where messages are posted: https://, or http:// with `allow_private`.")
    secret: SecretStr = Field(description="The signing secret: `whsec_` and 24 to 64 random bytes in base64.")
    allow_private: bool = Field(default=False, description="Permit addresses of this machine and of private networks.")
    timeout: float = Field(default=10.0, gt=0, le=60, description="How many seconds the other side has to answer.")

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value.get_secret_value()):
            raise ValueError("is no address; write for example https://hooks.example.com/gitops")
        return value

    @field_validator("secret")
    @classmethod
    def _is_a_secret(cls, value: SecretStr) -> SecretStr:
        try:
            size = len(base64.b64decode(value.get_secret_value().removeprefix("whsec_"), validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size not in SECRET_BYTES:
            raise ValueError("is no webhook secret; `mlrun-gitops token --webhook` makes one")
        return value

    @model_validator(mode="after")
    def _not_in_the_open(self) -> Self:
        if self.url.get_secret_value().startswith("http:") and not self.allow_private:
            raise ValueError("is unencrypted; write https://, or set allow_private for a private network")
        return self


class Webhook:
    model: ClassVar[type[BaseModel]] = Options

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = Options.model_validate(dict(options))
        self._out = Outbound(allow_private=self._options.allow_private, timeout_s=self._options.timeout)

    def send(self, message: Message) -> None:
        body = json.dumps(payload(message), ensure_ascii=False, separators=(",", ":"))
        body = body.encode("utf-8", "replace").decode()  # a program's output may hold half a character
        headers = {"content-type": "application/json", **self._signed(message.id, body)}
        self._out.post(self._options.url.get_secret_value(), body.encode(), headers)

    def close(self) -> None:
        self._out.close()

    def check(self) -> str:
        """That the host answers; what it thinks of the URL and the signature, only a message tells."""
        self._out.reach(self._options.url.get_secret_value())
        return "its host answers"

    def _signed(self, id_: str, body: str) -> dict[str, str]:
        from standardwebhooks import Webhook as Signer

        now = dt.datetime.now(dt.UTC)
        signature = Signer(self._options.secret.get_secret_value()).sign(id_, now, body)
        return {"webhook-id": id_, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def payload(message: Message) -> dict[str, Any]:
    """`type`, `timestamp` and `data`, as the specification advises; `data` is the whole message."""
    return {"type": message.event, "timestamp": message.at, "data": dataclasses.asdict(message)}
