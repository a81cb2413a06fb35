"""What a delivery says and what is to be done about it: pure, from bytes to a decision with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service import limits
from service.domain.events import Event, Ignored, Ping, Push
from service.domain.refs import short
from service.domain.states import DeliveryState
from service.errors import Malformed, NotFound
from service.receiver.forge import Forge, Headers
from service.receiver.hooks import Target, path_of
from service.receiver.payload import shown
from service.settings import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`fetch` are the repositories that are looked at; `parsed` is False while nobody has read the body."""

    state: DeliveryState
    reason: str
    event: str
    forge_id: str | None = None
    fetch: tuple[Repository, ...] = ()
    push: Push | None = None
    ping: bool = False
    parsed: bool = True


def decide(
    forges: Mapping[str, Forge],
    target: Target,
    headers: Headers,
    body: bytes,
    *,
    inline_bytes: int = limits.WEBHOOK_INLINE_PARSE_BYTES,
) -> Decision:
    """A body beyond `inline_bytes` is left for later. Raises Malformed, and NotFound for a repository that we don't have."""
    forge = forges[target.forge]
    if not forge.detect(headers):
        raise Malformed(f"This is no delivery of {target.forge}: its headers are missing", mend=_hint(forges, headers))
    inline = len(body) <= inline_bytes
    identity = forge.identify(headers, body if inline else None)
    if not inline:
        return Decision(
            state=DeliveryState.ACCEPTED,
            reason=f"its {len(body)} bytes are parsed after they were acknowledged",
            event=identity.event,
            forge_id=identity.forge_id,
            parsed=False,
        )
    event = forge.parse(headers, body)
    state, reason, fetch = _judge(event, target)
    return Decision(
        state=state,
        reason=reason,
        event=identity.event,
        forge_id=identity.forge_id,
        fetch=tuple(fetch),
        push=event if isinstance(event, Push) else None,
        ping=isinstance(event, Ping),
    )


def _judge(event: Event, target: Target) -> tuple[DeliveryState, str, Iterable[Repository]]:
    match event:
        case Ping():
            return DeliveryState.IGNORED, "a ping; the webhook works", ()
        case Ignored(reason=reason):
            return DeliveryState.IGNORED, reason, ()
        case Push():
            fetch = _meant(target, event.repository)
            return DeliveryState.ACCEPTED, _because(event, target, fetch), fetch


def _meant(target: Target, full_name: str) -> list[Repository]:
    """The address decides; only where it stands for several repositories, the payload picks."""
    if target.repository is not None:
        return [target.repository]
    if found := target.named(full_name):
        return found
    raise NotFound(
        f"No repository of the hook {target.hook} has the path {shown(full_name)}",
        mend=f"Add it to `repositories` with forge: {target.forge}, or take the webhook off",
    )


def _because(push: Push, target: Target, fetch: Iterable[Repository]) -> str:
    reason = f"{' and '.join(r.name for r in fetch)} is fetched for {short(push.ref)}"
    if target.repository is not None and not target.named(push.repository):
        path = path_of(target.repository.url)
        reason += f"; the payload names {shown(push.repository)}, but this address belongs to {path}"
    return reason


def _hint(forges: Mapping[str, Forge], headers: Headers) -> str:
    looks = next((forge.name for forge in forges.values() if forge.detect(headers)), None)
    return (
        f"It looks like {looks}'s: use the address /webhooks/{looks}/..." if looks else "Let the forge itself send it"
    )
