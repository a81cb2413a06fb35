"""Projects: what is in force, how it came there, and what is going on."""

from __future__ import annotations

from dataclasses import fields

import msgspec
from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from sqlalchemy import Connection

from service.errors import Malformed
from service.store import new_id, previews, projects, revisions, runs, schedules, syncs
from service.store.projects import Project
from service.web.api import answers, asks, pages
from service.web.api.desk import Desk, answer, made

TAG = Tag(name="projects", description="MLRun projects that the repositories own.")
# The caller's own name of a request; asked twice, it is done once.
IDEMPOTENCY_KEY = "Idempotency-Key"


def add(api: APIBlueprint, desk: Desk) -> None:
    @api.get("/projects", tags=[TAG], summary="List projects", responses={200: pages.Projects})
    def list_projects(query: asks.ProjectsQuery) -> Response:
        with desk.store.read() as conn:
            rows, cursor = projects.page(conn, **query.model_dump())
            items = [show(conn, row) for row in rows]
        return answer(pages.Projects(items=items, next=cursor))

    @api.get("/projects/<name>", tags=[TAG], summary="Show a project", responses={200: answers.Project})
    def show_project(path: asks.NamePath) -> Response:
        with desk.store.read() as conn:
            return answer(show(conn, projects.get(conn, path.name)))

    @api.post("/projects/<name>/sync", tags=[TAG], summary="Sync a project now", responses={202: answers.DeliveryMade})
    def sync_project(path: asks.NamePath) -> Response:
        """Bring it to the tip of its ref, moved or not."""
        with desk.store.read() as conn:
            projects.get(conn, path.name)
        desk.audit("project.sync", path.name)
        new = desk.actions.sync_project(path.name)
        return made(answers.DeliveryMade(delivery=new), f"/api/v1/deliveries/{new}")

    @api.post("/projects/<name>/plan", tags=[TAG], summary="Plan a push", responses={202: answers.PlanMade})
    def plan_project(path: asks.NamePath, body: asks.PlanBody) -> Response:
        """Fetch the repository and plan what a push would do against what is in force now, and do none of it."""
        with desk.store.read() as conn:
            projects.get(conn, path.name)
        desk.audit("project.plan", path.name, ref=body.ref)
        new = desk.actions.plan(path.name, body.ref)
        return made(answers.PlanMade(plan=new), f"/api/v1/projects/{path.name}/plans/{new}")

    @api.get("/projects/<name>/plans/<id>", tags=[TAG], summary="Show a plan", responses={200: answers.Preview})
    def show_plan(path: asks.PlanPath) -> Response:
        with desk.store.read() as conn:
            row = previews.get(conn, path.name, path.id)
        return answer(answers.Preview.model_validate({**_plain(row), "plan": msgspec.to_builtins(row.plan)}))

    @api.get("/projects/<name>/drift", tags=[TAG], summary="Show drift", responses={200: answers.Drift})
    def show_drift(path: asks.NamePath) -> Response:
        """Ask MLRun what it has of the project now, and show where that is not what was saved there."""
        return answer(answers.Drift.model_validate(desk.actions.drift(path.name)))

    @api.post("/projects/<name>/runs", tags=[TAG], summary="Run a workflow", responses={202: answers.RunMade})
    def run_workflow(path: asks.NamePath, body: asks.RunBody) -> Response:
        """With the revision in force. A repeated `Idempotency-Key` (up to 64 characters) gives the run of the first time."""
        with desk.store.read() as conn:
            projects.get(conn, path.name)
        key = _idempotency_key()
        desk.audit("project.run", path.name, workflow=body.workflow, arguments=body.arguments, request=key)
        new = desk.actions.run(path.name, body.workflow, body.arguments, key)
        return made(answers.RunMade(run=new), f"/api/v1/runs/{new}")

    @api.get("/projects/<name>/revisions", tags=[TAG], summary="List revisions", responses={200: pages.Revisions})
    def list_revisions(path: asks.NamePath, query: asks.PageQuery) -> Response:
        with desk.store.read() as conn:
            project = projects.get(conn, path.name)
            rows, cursor = revisions.page(conn, project=path.name, **query.model_dump())
        items = [answers.Revision.model_validate(_revision(row, project)) for row in rows]
        return answer(pages.Revisions(items=items, next=cursor))

    @api.get(
        "/projects/<name>/revisions/<id>",
        tags=[TAG],
        summary="Show a revision",
        responses={200: answers.RevisionDetail},
    )
    def show_revision(path: asks.RevisionPath) -> Response:
        with desk.store.read() as conn:
            project = projects.get(conn, path.name)
            row = revisions.get(conn, path.name, path.id)
        shown = {**_revision(row, project), "resolved": msgspec.to_builtins(row.resolved)}
        return answer(answers.RevisionDetail.model_validate(shown))


def _plain(row: previews.Preview) -> dict[str, object]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _revision(row: revisions.Entry | revisions.Revision, project: Project) -> dict[str, object]:
    plain = {name: getattr(row, name) for name in ("project", "id", "commit", "created_at")}
    return {**plain, "in_force": row.id == project.in_force}


def _idempotency_key() -> str:
    key = request.headers.get(IDEMPOTENCY_KEY) or new_id()
    if len(key) > 64 or not key.isascii() or not key.isprintable():
        raise Malformed(f"{IDEMPOTENCY_KEY} is longer than 64 characters, or not plain ASCII")
    return key


def show(conn: Connection, row: Project) -> answers.Project:
    newest = syncs.newest(conn, row.name)
    planned = sorted(schedules.in_force(conn, row.name), key=lambda s: (s.next_due is None, s.next_due))
    return answers.Project.model_validate(
        {
            **{name: getattr(row, name) for name in ("name", "repository", "path", "ref", "created_at")},
            **{name: getattr(row, name) for name in ("suspended", "pinned", "error")},
            "in_force": _in_force(conn, row),
            "last_sync": newest and answers.Sync.model_validate(newest),
            "open_runs": [answers.OpenRun.model_validate(run) for run in runs.open_of(conn, row.name)],
            "next_fires": [
                {"schedule": s.name, "workflow": s.workflow, "due": None if s.suspended else s.next_due}
                for s in planned
            ],
        }
    )


def _in_force(conn: Connection, row: Project) -> dict[str, object] | None:
    if row.in_force is None:
        return None
    by = syncs.find(conn, row.in_force_sync) if row.in_force_sync else None
    return {
        "revision": row.in_force,
        "commit": by.commit if by else row.synced_commit,
        "subject": by and by.subject,
        "since": by and by.ended_at,
    }
