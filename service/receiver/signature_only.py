"""A reference for `make bench`: what an acknowledgement costs before anything is kept. It breaks the promise of a 202."""

from __future__ import annotations

from http import HTTPStatus

from service.domain.states import DeliveryState
from service.errors import Unauthorized
from service.receiver.forge import Headers
from service.receiver.intake import UNAUTHORIZED, UNAUTHORIZED_MEND, Answer, Intake
from service.store import new_id

REASON = "only its signature was checked, and nothing is kept: a reference for make bench"


class SignatureOnly(Intake):
    """Says 202 to whatever is signed, and forgets it. `service.references` keeps it off every network."""

    def receive(self, forge: str, hook: str, headers: Headers, body: bytes) -> Answer:
        try:
            self._authenticated(self._hooks.find(forge, hook), headers, body)
        except Unauthorized:
            return Answer(status=HTTPStatus.UNAUTHORIZED, reason=UNAUTHORIZED, mend=UNAUTHORIZED_MEND)
        return Answer(status=HTTPStatus.ACCEPTED, reason=REASON, delivery=new_id(), state=DeliveryState.ACCEPTED)
