"""What every route works with: settings, store and actions; and how it answers."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Response, g
from pydantic import BaseModel

from service.errors import NotFound
from service.settings import Repository, Settings
from service.store import Store, audit, new_id
from service.web.api.actions import Actions


@dataclass(frozen=True, slots=True)
class Desk:
    settings: Settings
    store: Store
    actions: Actions

    def audit(self, action: str, target: str, **data: Any) -> None:
        """Written before anything is done, so that nothing is ever done unrecorded."""
        entry = audit.Entry(id=new_id(), at=self.store.now(), actor=g.actor, action=action, target=target, data=data)
        self.store.write(lambda conn: audit.add(conn, entry))

    def repository(self, name: str) -> Repository:
        found = next((r for r in self.settings.repositories if r.name == name), None)
        if found is None:
            raise NotFound(f"there is no repository {name!r}", mend="see GET /api/v1/repositories")
        return found


def answer(body: BaseModel, status: HTTPStatus = HTTPStatus.OK, location: str | None = None) -> Response:
    response = Response(body.model_dump_json(), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    if location:
        response.headers["Location"] = location
    return response


def made(body: BaseModel, location: str) -> Response:
    """Accepted; `location` is where it can be followed."""
    return answer(body, HTTPStatus.ACCEPTED, location)
