"""What the cluster's events say: asked for only while something does not get on, and then once for all of it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from service.launchers.kubernetes.api import Api
from service.launchers.kubernetes.connection import Json

_AGAIN_S = 5.0
_KINDS = ("Job", "Pod")


class Warnings:
    """The latest warning of each of our objects, by its uid."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._asked_at = float("-inf")

    @property
    def said(self) -> Mapping[str, str]:
        return self._said

    def ask(self, api: Api) -> None:
        """At most every few seconds: two requests, however many objects. Raises ClusterAway, ClusterRefused."""
        if time.monotonic() < self._asked_at + _AGAIN_S:
            return
        self._asked_at = time.monotonic()
        found: list[Json] = []
        for kind in _KINDS:
            events, _ = api.list("events", fieldSelector=f"type=Warning,involvedObject.kind={kind}")
            found += events
        self._said = latest(found)


def latest(events: list[Json]) -> dict[str, str]:
    """By the uid of what each is about."""
    return {
        event["involvedObject"].get("uid", ""): str(event.get("message", "")) for event in sorted(events, key=_when)
    }


def _when(event: Json) -> str:
    """The field is called otherwise since events have an API of their own."""
    metadata = event.get("metadata", {})
    return str(event.get("lastTimestamp") or event.get("eventTime") or metadata.get("creationTimestamp") or "")
