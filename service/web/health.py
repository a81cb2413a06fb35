"""Is the process alive, can it do its work, and how does it go: `/healthz`, `/readyz`, `/metrics`.

Metrics have a registry of their own, so that two apps in one process (as in tests) do not mix. Rooms that measure
something tell it to whoever wires them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service.errors import GitopsError
from service.web.problems import problem

# Raises a GitopsError when its part can't do its work.
Check = Callable[[], object]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What the service counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.deliveries = Counter(
            "gitops_webhook_deliveries",
            "Webhook requests by forge and HTTP status.",
            ["forge", "status"],
            registry=self.registry,
        )
        self.delivery_seconds = Histogram(
            "gitops_webhook_seconds",
            "From a webhook's first byte to its answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.delivery_bytes = Counter(
            "gitops_webhook_body_bytes", "Bytes of webhook bodies that were read.", registry=self.registry
        )
        self.work_seconds = Histogram(
            "gitops_work_seconds",
            "From the claim of a piece of work until it was put down, by its kind (`fetch`, `sync`, `launch` ...).",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )


def blueprint(checks: Mapping[str, Check], metrics: Metrics) -> Blueprint:
    """`checks` by the name of what they check: the store, the launcher."""
    health = Blueprint("health", __name__)

    @health.get("/healthz")
    def alive() -> Response:
        return jsonify(status="ok")

    @health.get("/readyz")
    def ready() -> Response:
        found = {name: _fault(check) for name, check in checks.items()}
        faults = {name: fault for name, fault in found.items() if fault}
        if faults:
            detail = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, code="not-ready", faults=faults)
        return jsonify(status="ok", checks=sorted(found))

    @health.get("/metrics")
    def measured() -> Response:
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    return health


def _fault(check: Check) -> str:
    """Why it can't; empty when it can."""
    try:
        check()
    except GitopsError as error:
        return str(error)
    return ""
