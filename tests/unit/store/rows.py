"""Rows as tests need them: valid, and only what matters is said."""

from __future__ import annotations

from typing import Any

from service.domain.events import Topic
from service.domain.plan import Cause
from service.domain.projects import Declaration
from service.domain.states import DeliveryState
from service.store import new_id
from service.store.deliveries import Delivery
from service.store.notifications import Notification
from service.store.runs import Run
from service.store.syncs import Sync

NOW = 1_700_000_000.0
MAIN = "refs/heads/main"


def delivery(**also: Any) -> Delivery:
    plain: dict[str, Any] = {
        "id": new_id(),
        "hook": "fraud",
        "forge": "github",
        "received_at": NOW,
        "state": DeliveryState.ACCEPTED,
        "repository": "fraud",
        "ref": MAIN,
    }
    return Delivery(**plain | also)


def sync(**also: Any) -> Sync:
    plain: dict[str, Any] = {
        "id": new_id(),
        "project": "fraud",
        "repository": "fraud",
        "ref": MAIN,
        "commit": "a" * 40,
        "seq": 1,
        "cause": Cause.PUSH,
        "declaration": Declaration(),
        "created_at": NOW,
    }
    return Sync(**plain | also)


def run(**also: Any) -> Run:
    plain: dict[str, Any] = {
        "id": new_id(),
        "project": "fraud",
        "repository": "fraud",
        "workflow": "main",
        "ref": MAIN,
        "commit": "a" * 40,
        "revision": "r1",
        "launcher": "process",
        "mlrun_version": "1.9.2",
        "timeout_s": 60.0,
        "created_at": NOW,
    }
    return Run(**plain | also)


def notification(**also: Any) -> Notification:
    plain: dict[str, Any] = {
        "id": new_id(),
        "handler": "console",
        "event": Topic.RUN_FAILED,
        "key": "run.failed/1",
        "message": {"title": "run failed"},
        "created_at": NOW,
    }
    return Notification(**plain | also)
