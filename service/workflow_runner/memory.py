"""What a job stored, in the forms in which MLRun asks for it again."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any, Iterator, Optional

from .plain import Json


def digest(struct: Json) -> str:
    return hashlib.sha1(json.dumps(struct, sort_keys=True, default=str).encode()).hexdigest()


class Memory:
    """Functions, runs and artifacts as MLRun's dicts. What is kept and what is handed out are copies."""

    def __init__(self) -> None:
        self.functions: dict[tuple[str, str, str], Json] = {}  # project, name, tag or hash
        self.runs: dict[tuple[str, int], Json] = {}  # uid, iteration
        self.artifacts: list[Json] = []  # oldest first
        self.projects: dict[str, Json] = {}

    def keep_function(self, function: Json, name: str, project: str, tag: str) -> str:
        """Keep it under its tag and its hash, which is returned."""
        function = copy.deepcopy(function)
        key = digest(function)
        tag = tag or function.get("metadata", {}).get("tag") or "latest"
        self.functions[project, name, tag] = self.functions[project, name, key] = function
        return key

    def function(self, name: str, project: str, tag_or_hash: str) -> Optional[Json]:
        return copy.deepcopy(self.functions.get((project, name, tag_or_hash or "latest")))

    def keep_run(self, run: Json, uid: str, iteration: int) -> bool:
        """True when it is a new one."""
        new = (uid, iteration) not in self.runs
        self.runs[uid, iteration] = copy.deepcopy(run)
        return new

    def update_run(self, updates: Json, uid: str, project: str, iteration: int) -> None:
        """`updates` are by paths: {"status.state": ...}."""
        run = self.runs.setdefault(
            (uid, iteration), {"metadata": {"uid": uid, "project": project, "iteration": iteration}}
        )
        for path, value in updates.items():
            place = run
            *parents, last = path.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = copy.deepcopy(value)

    def run(self, uid: str, iteration: int) -> Optional[Json]:
        return copy.deepcopy(self.runs.get((uid, iteration)))

    def find_runs(
        self, name: Optional[str], uid: Any, labels: Any, states: list[Any], iterations: bool
    ) -> Iterator[Json]:
        wanted = {getattr(state, "value", state) for state in states}
        uids = [uid] if isinstance(uid, str) else uid
        for (run_uid, iteration), run in self.runs.items():
            if (
                (iterations or not iteration)
                and (not name or name.lstrip("~") in run["metadata"].get("name", ""))
                and (not uids or run_uid in uids)
                and (not wanted or run.get("status", {}).get("state") in wanted)
                and _labelled(run, labels)
            ):
                yield copy.deepcopy(run)

    def keep_artifact(self, artifact: Json) -> bool:
        """True when it is a new one. Gives it a uid where it has none."""
        uid = artifact["metadata"].setdefault("uid", digest(artifact))
        if any(kept["metadata"]["uid"] == uid for kept in self.artifacts):
            return False
        self.artifacts.append(copy.deepcopy(artifact))
        return True

    def artifact(
        self, key: str, project: str, tag: str, iteration: Optional[int], tree: Optional[str], uid: Optional[str]
    ) -> Optional[Json]:
        """The newest one. `key` is the database's key (`prep-prepare_data`) or, failing that, the one it was logged by."""
        for database_key in (True, False):
            for kept in reversed(self.artifacts):
                metadata = kept["metadata"]
                if (
                    (kept.get("spec", {}).get("db_key") if database_key else metadata.get("key")) == key
                    and metadata.get("project", "") in ("", project)
                    and uid in (None, metadata["uid"])
                    and (not tree or metadata.get("tree") == tree)
                    and (iteration is None or (metadata.get("iter") or 0) == iteration)
                    and tag in ("", None, "latest", metadata.get("tag"))
                ):
                    return copy.deepcopy(kept)
        return None

    def find_artifacts(
        self, name: Optional[str], tag: Optional[str], labels: Any, kind: Optional[str], tree: Optional[str]
    ) -> Iterator[Json]:
        for kept in self.artifacts:
            metadata = kept["metadata"]
            if (
                kept.get("kind") != "link"
                and (not name or name.lstrip("~") in (metadata.get("key"), kept.get("spec", {}).get("db_key")))
                and tag in ("", None, "*", "latest", metadata.get("tag"))
                and (not kind or kept.get("kind") == kind)
                and (not tree or metadata.get("tree") == tree)
                and _labelled(kept, labels)
            ):
                yield copy.deepcopy(kept)


def _labelled(struct: Json, labels: Any) -> bool:
    """Whether `struct` has all of `labels`, in any of the forms that MLRun takes."""
    have = struct.get("metadata", {}).get("labels") or {}
    if isinstance(labels, str):
        labels = labels.split(",")
    if isinstance(labels, dict):
        labels = [key if value is None else f"{key}={value}" for key, value in labels.items()]
    for label in labels or []:
        key, equals, value = label.partition("=")
        if key not in have or (equals and str(have[key]) != value):
            return False
    return True
