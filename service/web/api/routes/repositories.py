"""The repositories of config.yaml and how their news arrive."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from sqlalchemy import Connection

from service import settings
from service.store import deliveries, projects, repositories
from service.web.api import answers, asks, pages
from service.web.api.desk import Desk, answer, made

TAG = Tag(name="repositories", description="Repositories whose pushes are acted on.")


def add(api: APIBlueprint, desk: Desk) -> None:
    @api.get("/repositories", tags=[TAG], summary="List repositories", responses={200: pages.Repositories})
    def list_repositories(query: asks.PageQuery) -> Response:
        known = sorted(desk.settings.repositories, key=lambda r: r.name)
        behind = [r for r in known if query.cursor is None or r.name > query.cursor]
        page = behind[: query.limit]
        with desk.store.read() as conn:
            items = [answers.Repository.model_validate(show(desk, conn, r)) for r in page]
        return answer(pages.Repositories(items=items, next=page[-1].name if len(behind) > len(page) else None))

    @api.get("/repositories/<name>", tags=[TAG], summary="Show a repository", responses={200: answers.RepositoryDetail})
    def show_repository(path: asks.NamePath) -> Response:
        configured = desk.repository(path.name)
        with desk.store.read() as conn:
            refs = repositories.refs(conn, configured.name).values()
            shown = {**show(desk, conn, configured), "refs": [answers.Ref.model_validate(ref) for ref in refs]}
        return answer(answers.RepositoryDetail.model_validate(shown))

    @api.post(
        "/repositories/<name>/sync", tags=[TAG], summary="Sync a repository now", responses={202: answers.DeliveryMade}
    )
    def sync_repository(path: asks.NamePath, body: asks.SyncBody) -> Response:
        """Fetch it and sync what the ref concerns; without a ref, every ref that moved."""
        desk.repository(path.name)
        desk.audit("repository.sync", path.name, ref=body.ref)
        new = desk.actions.sync_repository(path.name, body.ref)
        return made(answers.DeliveryMade(delivery=new), f"/api/v1/deliveries/{new}")


def show(desk: Desk, conn: Connection, configured: settings.Repository) -> dict[str, object]:
    """What the operator wrote, what the last fetch found, and what waits."""
    row = repositories.find(conn, configured.name)
    waiting = deliveries.open_for(conn, configured.name)
    path = f"/webhooks/{configured.forge}/{configured.name}"
    return {
        "name": configured.name,
        "url": configured.url,
        "forge": configured.forge,
        "webhook": f"{desk.settings.server.public_url or ''}{path}",
        "branch": configured.branch or (row and row.default_branch),
        "poll_s": configured.poll,
        "delivered_at": row and row.delivered_at,
        "fetched_at": row and row.fetched_at,
        "waiting": len(waiting),
        "lag_s": max(0.0, desk.store.now() - waiting[0].received_at) if waiting else None,
        "error": row and row.error,
        "error_at": row and row.error_at,
        "projects": [project.name for project in projects.for_repository(conn, configured.name)],
    }
