"""From a request to an acknowledged delivery: who sent it, what it says, and the decision on disk before the answer.

A 202 is given after the delivery and the work it asks for are durable, and for nothing else. A delivery is a hint: what
it says decides which repository is fetched, never what is true. So a repeated one is fetched for again, and one that names
another repository than its address moves only the repository that the address belongs to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

from sqlalchemy import Connection

from service import limits
from service.domain.states import DeliveryState
from service.errors import RequestError, StoreUnavailable, Unauthorized
from service.receiver import record
from service.receiver.decide import Decision, decide
from service.receiver.forge import Forge, Headers
from service.receiver.forges import FORGES
from service.receiver.hooks import Hooks, Target
from service.receiver.payload import printable
from service.receiver.rejections import OnRejected, Rejections
from service.receiver.signature import check_nobodys
from service.receiver.spool import Spool, pack, unpack
from service.settings import Repository, Settings
from service.store import Store, deliveries, new_id
from service.store.deliveries import Delivery

log = logging.getLogger(__name__)

# The forge may try again after so many seconds.
RETRY_AFTER_S = 10
# "Last delivery seen" is for people; writing it more often would cost every acknowledgement.
_SEEN_EVERY_S = 1.0
_KEPT_HEADERS = frozenset({"content-type", "user-agent"})
# One sentence for a bad signature and for a hook that does not exist: a stranger must not learn which names do.
UNAUTHORIZED = "The signature is missing, or matches no secret of this hook"
UNAUTHORIZED_MEND = "Compare the webhook's address and secret at the forge with those in the service's settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the forge is told. `delivery` is our id of it; None where the sender proved nothing."""

    status: HTTPStatus
    reason: str
    mend: str = ""
    delivery: str | None = None
    state: DeliveryState | None = None
    retry_after: int | None = None


class Intake:
    """The receiver's front door; it knows neither a web framework nor sockets.

    `on_rejected` is called in the transaction that records a rejected delivery. Close the intake before the store.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        spool: Spool,
        *,
        forges: Mapping[str, Forge] = FORGES,
        on_rejected: OnRejected | None = None,
    ) -> None:
        self._store = store
        self._spool = spool
        self._forges = forges
        self._hooks = Hooks(settings, forges)
        self._on_rejected = on_rejected
        self._rejections = Rejections(store, on_rejected)
        self._seen: dict[str, float] = {}
        self._sweep()

    def close(self) -> None:
        self._rejections.close()

    def receive(self, forge: str, hook: str, headers: Headers, body: bytes) -> Answer:
        """Decide about one request and make the decision durable. Raises nothing for what a stranger sent."""
        found = self._hooks.find(forge, hook)
        try:
            target = self._authenticated(found, headers, body)
        except Unauthorized as error:
            reason = error.what
            self._rejections.note(found.hook if found else None, lambda: self._new(forge, hook, headers, body, reason))
            return Answer(status=HTTPStatus.UNAUTHORIZED, reason=UNAUTHORIZED, mend=UNAUTHORIZED_MEND)
        row = self._new(forge, hook, headers, body)
        try:
            try:
                decision = decide(self._forges, target, headers, body)
            except RequestError as error:
                return self._refuse(target, row, body, error)
            return self._accept(row, decision, body)
        except StoreUnavailable as error:
            log.warning("a delivery of %s was not acknowledged: %s", target.hook, error)
            return Answer(
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                reason="The delivery could not be made durable, so it is not acknowledged",
                mend=f"Send it again in {RETRY_AFTER_S} s; the service's log has the cause",
                retry_after=RETRY_AFTER_S,
            )

    def parse_spooled(self, delivery_id: str, also: Callable[[Connection], None] | None = None) -> float | None:
        """Read a body that was acknowledged unparsed; may be repeated. `also` runs in the same transaction.

        Returns when to try again where only another replica knows the hook, else None.

        Raises StoreUnavailable, and whatever `also` raises; then nothing has changed.
        """
        with self._store.read() as connection:
            row = deliveries.find(connection, delivery_id)
        if row is not None and not row.parsed and self._hooks.find(row.forge, row.hook) is None:
            at = self._store.others_may_know(row.received_at)
            if at is not None:
                return at
        decision = self._reread(row) if row is not None and not row.parsed else None

        def change(connection: Connection) -> None:
            if row is not None and decision is not None:
                self._tell(connection, row, decision)
            if also is not None:
                also(connection)

        self._store.write(change)
        if row is not None and row.spool is not None:
            self._spool.remove(row.spool)
        return None

    def _authenticated(self, target: Target | None, headers: Headers, body: bytes) -> Target:
        """Raises Unauthorized, after as much work for a hook that does not exist."""
        if target is None:
            check_nobodys(body)
            raise Unauthorized("No hook has this address")
        if target.secrets is not None:
            self._forges[target.forge].verify(headers, body, target.secrets)
        return target

    def _new(self, forge: str, hook: str, headers: Headers, body: bytes, reason: str = "") -> Delivery:
        """The row as far as it is known before anything is believed."""
        known = self._forges.get(forge)
        kept = _KEPT_HEADERS | (known.kept_headers if known else frozenset())
        return Delivery(
            id=new_id(),
            hook=printable(hook, 100) or "?",
            forge=printable(forge, 32) or "?",
            received_at=self._store.now(),
            state=DeliveryState.REJECTED,
            reason=reason,
            headers={name: printable(headers[name]) or "" for name in kept & headers.keys()},
            size=len(body),
        )

    def _accept(self, row: Delivery, decision: Decision, body: bytes) -> Answer:
        row = record.decided(row, decision)
        if row.parsed or self._store.is_shared:  # another replica may be the one who parses it
            row = replace(row, body=pack(body))
        else:
            row = replace(row, spool=self._spool.put(row.id, body))
        seen = self._newly_seen(decision.fetch)
        try:
            row = self._store.write_together(record.add_all, record.Arrival(row, decision.fetch, seen))
        except BaseException:
            # Should it have been written all the same: it was not acknowledged, and parsing copes with a lost body.
            if row.spool is not None:
                self._spool.remove(row.spool)
            raise
        status = HTTPStatus.OK if decision.ping else HTTPStatus.ACCEPTED
        return Answer(status=status, reason=row.reason, delivery=row.id, state=row.state)

    def _refuse(self, target: Target, row: Delivery, body: bytes, error: RequestError) -> Answer:
        """What is signed but makes no sense is kept with its body: the forge's users will want to see it."""
        row = replace(row, reason=str(error))
        answer = Answer(status=HTTPStatus(error.status), reason=error.what, mend=error.mend, state=row.state)
        if target.secrets is None:
            self._rejections.note(target.hook, lambda: row)
            return answer
        if len(body) <= limits.WEBHOOK_INLINE_PARSE_BYTES:
            row = replace(row, body=pack(body))
        self._store.write(lambda connection: self._rejections.record(connection, row))
        return replace(answer, delivery=row.id)

    def _newly_seen(self, fetched: Iterable[Repository]) -> tuple[Repository, ...]:
        now = time.monotonic()
        new = tuple(r for r in fetched if now - self._seen.get(r.name, float("-inf")) >= _SEEN_EVERY_S)
        self._seen.update({r.name: now for r in new})
        return new

    def _reread(self, row: Delivery) -> Decision:
        """The decision that was put off."""
        target = self._hooks.find(row.forge, row.hook)
        event = row.event or "?"
        if target is None:
            reason = f"{row.hook} is no hook in the settings any more"
            return Decision(state=DeliveryState.REJECTED, reason=reason, event=event)
        body = self._kept(row)
        if body is None:
            reason = "its spooled body is lost; whatever it may have meant is fetched"
            return Decision(state=DeliveryState.REJECTED, reason=reason, event=event, fetch=target.candidates)
        try:
            return decide(self._forges, target, row.headers, body, inline_bytes=limits.WEBHOOK_BODY_BYTES)
        except RequestError as error:
            return Decision(state=DeliveryState.REJECTED, reason=str(error), event=event)

    def _kept(self, row: Delivery) -> bytes | None:
        if row.spool is not None:
            return self._spool.get(row.spool)
        return None if row.body is None else unpack(row.body, row.size)

    def _tell(self, connection: Connection, row: Delivery, decision: Decision) -> None:
        known = record.decided(row, decision)
        if decision.state is DeliveryState.ACCEPTED:
            known = replace(known, state=row.state)  # a duplicate stays one
        told = record.parsed(connection, known, decision.fetch, now=self._store.now())
        if told and decision.state is DeliveryState.REJECTED and self._on_rejected is not None:
            self._on_rejected(connection, known)

    def _sweep(self) -> None:
        def waits(delivery_id: str) -> bool:
            with self._store.read() as connection:
                row = deliveries.find(connection, delivery_id)
            return row is not None and not row.parsed

        try:
            self._spool.sweep(waits)
        except (OSError, StoreUnavailable) as error:
            log.warning("the spool was not swept: %s", error)
