"""Secrets of projects: their names can be read, what is in them cannot."""

from __future__ import annotations

from typing import Any

from tests.peers.mlrun_stand_in.program.state import Call, Raw, Refused, State

_KUBERNETES = "kubernetes"


def keys(state: State, call: Call) -> Any:
    state.has_project(call.project)
    _provider(call.one("provider", _KUBERNETES))
    return {"provider": _KUBERNETES, "secret_keys": list(state.secrets.get(call.project, {}))}


def store(state: State, call: Call) -> Any:
    state.has_project(call.project)
    _provider(call.body.provider)
    state.secrets.setdefault(call.project, {}).update(call.body.secrets or {})
    return Raw(b"")


def delete(state: State, call: Call) -> Any:
    state.has_project(call.project)
    kept = state.secrets.get(call.project, {})
    for name in call.query.get("secret") or list(kept):
        kept.pop(name, None)
    return Raw(b"")


def _provider(name: str) -> None:
    if name != _KUBERNETES:
        raise Refused(400, f"Provider {name} does not exist")
