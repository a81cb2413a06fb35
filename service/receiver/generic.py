"""Whatever can sign a body and send JSON: a forge we have no module for, a CI job, a script.

`X-Signature-256: sha256=<HMAC-SHA256 of the raw body>`, an id in `X-Delivery`, and as the body
`{"repository": "org/name", "ref": "refs/heads/main", "before": "<commit>", "after": "<commit>", "pusher": "who"}`, of
which the last three may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.json import Decoder

from service.domain.events import Event, Push
from service.errors import Malformed
from service.receiver.forge import Forge, Headers, Identity
from service.receiver.payload import FullName, Payload, Sha, checked_ref, commit, decode, json_body, printable, shown
from service.receiver.signature import check_sha256

_WHAT = "The payload"
_ID = re.compile(r"[\x21-\x7e]{1,100}")


class _Pushed(Payload, frozen=True):
    repository: FullName
    ref: str
    before: Sha | None = None
    after: Sha | None = None
    pusher: str | None = None


_PUSHED = Decoder(_Pushed)


class Generic:
    name = "generic"
    kept_headers = frozenset({"x-delivery"})

    def detect(self, headers: Headers) -> bool:
        return "x-delivery" in headers or "x-signature-256" in headers

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[bytes]) -> None:
        check_sha256(headers.get("x-signature-256"), "X-Signature-256", body, secrets)

    def identify(self, headers: Headers, body: bytes | None) -> Identity:  # noqa: ARG002 - all is in the headers
        forge_id = headers.get("x-delivery", "")
        if not _ID.fullmatch(forge_id):
            raise Malformed(
                f"X-Delivery is {shown(forge_id)}, which is no id", mend="Send 1 to 100 visible ASCII characters"
            )
        return Identity(forge_id, "push")

    def parse(self, headers: Headers, body: bytes) -> Event:
        pushed = decode(json_body(headers, body), _PUSHED, _WHAT)
        return Push(
            repository=pushed.repository,
            ref=checked_ref(pushed.ref, _WHAT),
            before=commit(pushed.before),
            after=commit(pushed.after),
            pusher=printable(pushed.pusher),
        )


FORGE: Forge = Generic()
