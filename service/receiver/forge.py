"""What a forge is to us: four steps from a request's headers and body to an event.

Each forge is one class in one module, and the steps never change: `detect, verify, identify, parse`. Everything a
forge sends is a stranger's word until `verify` has passed, and only a hint after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.domain.events import Event

# Header names are in lower case.
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a delivery is, before what it says: the forge's own id of it, and the forge's name of the event."""

    forge_id: str | None
    event: str


class Forge(Protocol):
    name: str
    kept_headers: frozenset[str]
    """Headers of its own that are kept with the delivery: none that signs or authenticates."""

    def detect(self, headers: Headers) -> bool:
        """Does this look like one of mine?"""

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[bytes]) -> None:
        """Raise Unauthorized unless `body` is signed with one of `secrets`; takes equally long whichever it is."""

    def identify(self, headers: Headers, body: bytes | None) -> Identity:
        """Raises Malformed. `body` is None when it is too large to be looked into while the forge waits."""

    def parse(self, headers: Headers, body: bytes) -> Event:
        """Raises Malformed, which says where in the payload and how to mend it."""
