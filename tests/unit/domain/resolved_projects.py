"""Resolved projects, as `load` may make them, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from service.domain.projects import Resolved, Workflow

names = st.sampled_from(["main", "train", "nightly", "owner", "status"])
keys = st.sampled_from(["rows", "status", "hash", "a.b", "db_password", "image", "max_tokens", "name", "value"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b c", 1.0]) | st.just("x" * 1000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=3,
)
dicts = st.dictionaries(keys, plain, max_size=4)
crons = st.none() | st.sampled_from(["0 2 * * *", "*/15 * * * 1-5"])
workflows = st.dictionaries(names, st.tuples(crons, dicts), max_size=4).map(
    lambda made: {name: Workflow(name=name, schedule=cron, args=args) for name, (cron, args) in made.items()}
)


def _environment(made: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in made]


functions = st.dictionaries(
    names,
    st.builds(
        lambda env, spec: {"kind": "job", "spec": {"env": _environment(env), **spec}},
        st.lists(st.tuples(st.sampled_from(["A", "B", "API_TOKEN"]), st.sampled_from(["1", "2"])), max_size=3),
        dicts,
    ),
    max_size=3,
)
resolved = st.builds(
    lambda params, functions, workflows: Resolved(
        name="fraud",
        project={"metadata": {"name": "fraud"}, "spec": {"params": params}},
        functions=functions,
        workflows=workflows,
    ),
    dicts,
    functions,
    workflows,
)
