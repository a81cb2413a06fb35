"""How it stands with an image that MLRun builds: read from the answers to `build/function` and `build/status`."""

from __future__ import annotations

from dataclasses import dataclass

from service.mlrun_api.answers import Answer, Asked, Json, inner, json_of

# Servers differ in which of these they send; MLRun's client reads the first.
_STATE = ("x-mlrun-function-status", "function_status")


@dataclass(frozen=True, slots=True)
class Build:
    """`state` is MLRun's word: `pending`, `running`, `build`, `deploying` while it goes on; `ready`, `error` or another end.

    `image` is its whole name where MLRun said it; `log` is a piece of what the builder printed.
    """

    state: str
    image: str = ""
    log: bytes = b""

    @property
    def ready(self) -> bool:
        return self.state == "ready"

    @property
    def goes_on(self) -> bool:
        return self.state in ("", "pending", "running", "build", "deploying", "created")


def begun(answer: Answer, asked: Asked) -> Build:
    document = json_of(answer, asked)
    function = inner(document, "data")
    state = inner(function, "status", "state")
    return Build("ready" if document.get("ready") is True else _word(state), _image_of(function))


def looked_at(answer: Answer) -> Build:
    state = next((answer.headers[name] for name in _STATE if answer.headers.get(name)), "")
    return Build(state, answer.headers.get("function_image", ""), answer.body)


def _image_of(function: Json | object) -> str:
    return _word(inner(function, "spec", "image")) or _word(inner(function, "spec", "build", "image"))


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
