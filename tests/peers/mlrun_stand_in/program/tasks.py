"""Background tasks: at work until somebody looks."""

from __future__ import annotations

from typing import Any

from tests.peers.mlrun_stand_in.program.state import Call, State, copied, not_found, now


def read(state: State, call: Call) -> Any:
    key = (call.project, call.path["name"])
    if key not in state.tasks:
        raise not_found(f"Project background task not found: name={key[1]}, project={key[0]}")
    kept = state.tasks[key]
    shown = copied(kept["task"])
    status = kept["task"]["status"]
    if status["state"] == "running":
        status["state"] = "failed" if kept["error"] else "succeeded"
        status["error"] = kept["error"] or None
        kept["task"]["metadata"]["updated"] = now()
    return shown
