"""Webhooks that arrived, what was decided about each, and what became of it."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from sqlalchemy import Connection

from service import limits
from service.store import deliveries, syncs
from service.store.deliveries import Delivery
from service.store.syncs import Sync
from service.web.api import answers, asks, pages
from service.web.api.desk import Desk, answer, made

TAG = Tag(name="deliveries", description="Webhooks that arrived.")


def add(api: APIBlueprint, desk: Desk) -> None:
    @api.get("/deliveries", tags=[TAG], summary="List deliveries", responses={200: pages.Deliveries})
    def list_deliveries(query: asks.DeliveriesQuery) -> Response:
        with desk.store.read() as conn:
            rows, cursor = deliveries.page(conn, **query.model_dump())
        return answer(pages.Deliveries(items=[answers.Delivery.model_validate(row) for row in rows], next=cursor))

    @api.get("/deliveries/<id>", tags=[TAG], summary="Show a delivery", responses={200: answers.DeliveryDetail})
    def show_delivery(path: asks.IdPath) -> Response:
        with desk.store.read() as conn:
            row = deliveries.get(conn, path.id)
            led_to = syncs_of(conn, row)
        plain = answers.Delivery.model_validate(row).model_dump()
        return answer(
            answers.DeliveryDetail(
                **plain, headers=row.headers, syncs=[answers.Sync.model_validate(sync) for sync in led_to]
            )
        )

    @api.post(
        "/deliveries/<id>/redeliver",
        tags=[TAG],
        summary="Handle a delivery again",
        responses={202: answers.DeliveryMade},
    )
    def redeliver(path: asks.IdPath) -> Response:
        """As if the forge had sent it again: a new delivery with the same body."""
        with desk.store.read() as conn:
            deliveries.get(conn, path.id)
        desk.audit("delivery.redeliver", path.id)
        new = desk.actions.redeliver(path.id)
        return made(answers.DeliveryMade(delivery=new), f"/api/v1/deliveries/{new}")


def syncs_of(conn: Connection, delivery: Delivery) -> list[Sync]:
    """The syncs of the pushed commit, and those that were made when the delivery got its outcome, oldest first."""
    if delivery.repository is None or delivery.ref is None:
        return []
    pushed = syncs.for_commit(conn, delivery.repository, delivery.ref, delivery.after) if delivery.after else []
    # One transaction, one time: it answers the delivery and makes the syncs.
    latest, _ = syncs.page(conn, repository=delivery.repository, ref=delivery.ref, limit=limits.PAGE_MAX)
    answered = [sync for sync in latest if sync.created_at == delivery.outcome_at]
    return sorted({sync.id: sync for sync in (*pushed, *answered)}.values(), key=lambda sync: sync.id)
