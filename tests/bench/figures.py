"""Which figures there are. A new group is a module with a `measure` and one line here."""

from __future__ import annotations

from tests.bench import acks, idle, large_repositories, pods, postgres, push_to_step, saving
from tests.bench.figure import Group

# By the name that `make bench ARGS=...` takes, which is also the table in targets.toml.
GROUPS: dict[str, Group] = {
    "acks": Group(acks.measure, needs=("runner",)),
    "postgres": Group(postgres.measure, needs=("postgres",)),
    "idle": Group(idle.measure),
    "push": Group(push_to_step.measure, needs=("runner",)),
    "large": Group(large_repositories.measure, needs=("runner",)),
    "saving": Group(saving.measure, needs=("runner",)),
    "pods": Group(pods.measure, needs=("runner", "kubernetes")),
}
