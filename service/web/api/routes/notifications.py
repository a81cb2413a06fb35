"""The outbox, and the handlers that it goes to."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from service.errors import NotFound
from service.store import notifications
from service.store.notifications import Notification
from service.web.api import answers, asks, pages
from service.web.api.desk import Desk, answer, made

TAG = Tag(name="notifications", description="Messages to people, and the handlers that send them.")


def add(api: APIBlueprint, desk: Desk) -> None:
    @api.get("/notifications", tags=[TAG], summary="List notifications", responses={200: pages.Notifications})
    def list_notifications(query: asks.NotificationsQuery) -> Response:
        with desk.store.read() as conn:
            rows, cursor = notifications.page(conn, **query.model_dump())
        return answer(pages.Notifications(items=[show(row) for row in rows], next=cursor))

    @api.get(
        "/notifications/<id>", tags=[TAG], summary="Show a notification", responses={200: answers.NotificationDetail}
    )
    def show_notification(path: asks.IdPath) -> Response:
        with desk.store.read() as conn:
            row = notifications.get(conn, path.id)
        return answer(answers.NotificationDetail(**show(row).model_dump(), message=row.message))

    @api.post(
        "/notifications/<id>/resend",
        tags=[TAG],
        summary="Send a notification again",
        responses={202: answers.ResendAsked},
    )
    def resend(path: asks.IdPath) -> Response:
        with desk.store.read() as conn:
            notifications.get(conn, path.id)
        desk.audit("notification.resend", path.id)
        desk.actions.resend(path.id)
        return made(answers.ResendAsked(notification=path.id), f"/api/v1/notifications/{path.id}")

    @api.get("/handlers", tags=[TAG], summary="List handlers", responses={200: pages.Handlers})
    def list_handlers(query: asks.PageQuery) -> Response:
        names = sorted(name for name in desk.settings.handlers if query.cursor is None or name > query.cursor)
        page = names[: query.limit]
        items = [
            answers.Handler(
                name=name,
                kind=desk.settings.handlers[name].kind,
                hears=[answers.Heard.model_validate(s) for s in desk.settings.notify if s.to == name],
            )
            for name in page
        ]
        return answer(pages.Handlers(items=items, next=page[-1] if len(names) > len(page) else None))

    @api.post(
        "/handlers/<name>/test", tags=[TAG], summary="Send a test message", responses={200: answers.HandlerTested}
    )
    def test_handler(path: asks.NamePath) -> Response:
        """At once, and answers with the reason if it does not leave."""
        if path.name not in desk.settings.handlers:
            raise NotFound(f"there is no handler {path.name!r}", mend="see GET /api/v1/handlers")
        desk.audit("handler.test", path.name)
        desk.actions.test_handler(path.name)
        return answer(answers.HandlerTested(handler=path.name))


def show(row: Notification) -> answers.Notification:
    names = [name for name in answers.Notification.model_fields if name != "title"]
    return answers.Notification.model_validate(
        {**{name: getattr(row, name) for name in names}, "title": str(row.message.get("title", ""))}
    )
