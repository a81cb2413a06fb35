"""GitHub's webhooks: `push`, `create`, `delete`, `ping`; every other event is told that it is not acted on.

Shapes: GitHub docs, "Webhook events and payloads". GitHub signs the raw body (`X-Hub-Signature-256`) and sends either
JSON or a form with one field `payload`. A push of a branch comes as `push` and, when the branch is new or gone, as
`create` or `delete` too; when many refs move at once only some of these come, so each of them counts as a hint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta
from msgspec.json import Decoder

from service.domain.events import Event, Ignored, Ping, Push
from service.domain.refs import HEADS, TAGS
from service.errors import Malformed
from service.receiver.forge import Forge, Headers, Identity
from service.receiver.payload import FullName, Payload, Sha, checked_ref, commit, decode, json_body, printable, shown
from service.receiver.signature import check_sha256

_EVENT = re.compile(r"[a-z][a-z_]{0,63}")
_ID = re.compile(r"[A-Za-z0-9-]{1,100}")


class _Repository(Payload, frozen=True):
    full_name: FullName


class _Pusher(Payload, frozen=True):
    name: str | None = None


class _Sender(Payload, frozen=True):
    login: str | None = None


class _Pinged(Payload, frozen=True):
    """An organisation's hook has no repository."""

    repository: _Repository | None = None


class _Pushed(Payload, frozen=True):
    ref: str
    before: Sha
    after: Sha
    repository: _Repository
    pusher: _Pusher | None = None


class _RefEvent(Payload, frozen=True):
    """`create` and `delete`: the ref is the short name, and no commit is told."""

    ref: str | None
    ref_type: Annotated[str, Meta(max_length=32)]
    repository: _Repository
    sender: _Sender | None = None


_PINGED, _PUSHED, _REF_EVENT = Decoder(_Pinged), Decoder(_Pushed), Decoder(_RefEvent)


class GitHub:
    name = "github"
    kept_headers = frozenset(
        {
            "x-github-event",
            "x-github-delivery",
            "x-github-hook-id",
            "x-github-hook-installation-target-id",
            "x-github-hook-installation-target-type",
        }
    )

    def detect(self, headers: Headers) -> bool:
        return "x-github-event" in headers

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[bytes]) -> None:
        check_sha256(headers.get("x-hub-signature-256"), "X-Hub-Signature-256", body, secrets)

    def identify(self, headers: Headers, body: bytes | None) -> Identity:  # noqa: ARG002 - all is in the headers
        event = headers.get("x-github-event", "")
        if not _EVENT.fullmatch(event):
            raise Malformed(
                f"X-GitHub-Event is {shown(event)}, which is no event's name", mend="Send GitHub's own headers"
            )
        forge_id = headers.get("x-github-delivery")
        if forge_id is not None and not _ID.fullmatch(forge_id):
            raise Malformed(f"X-GitHub-Delivery is {shown(forge_id)}, which is no id", mend="Send GitHub's own headers")
        return Identity(forge_id, event)

    def parse(self, headers: Headers, body: bytes) -> Event:
        match event := headers.get("x-github-event", ""):
            case "push":
                return self._push(decode(json_body(headers, body), _PUSHED, _named(event)))
            case "create" | "delete":
                return self._ref_event(event, decode(json_body(headers, body), _REF_EVENT, _named(event)))
            case "ping":
                pinged = decode(json_body(headers, body), _PINGED, _named(event))
                return Ping(pinged.repository.full_name if pinged.repository else None)
            case _:
                return Ignored(f"GitHub's {event} is not acted on; push, create and delete are")

    def _push(self, pushed: _Pushed) -> Push:
        return Push(
            repository=pushed.repository.full_name,
            ref=checked_ref(pushed.ref, _named("push")),
            before=commit(pushed.before),
            after=commit(pushed.after),
            pusher=printable(pushed.pusher.name if pushed.pusher else None),
        )

    def _ref_event(self, event: str, moved: _RefEvent) -> Event:
        prefix = {"branch": HEADS, "tag": TAGS}.get(moved.ref_type)
        if prefix is None or moved.ref is None:
            return Ignored(f"a {event} of a {shown(moved.ref_type)} is not acted on", moved.repository.full_name)
        return Push(
            repository=moved.repository.full_name,
            ref=checked_ref(prefix + moved.ref, _named(event)),
            before=None,
            after=None,
            pusher=printable(moved.sender.login if moved.sender else None),
        )


def _named(event: str) -> str:
    return f"GitHub's {event}"


FORGE: Forge = GitHub()
