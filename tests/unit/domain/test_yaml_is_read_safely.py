"""`yaml_guard`: bombs are refused before they are built, and only plain JSON comes out."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import yaml_guard
from service.errors import ProjectError, ProjectFileError
from service.limits import REPOSITORY_FILE_BYTES, YAML_ALIASES, YAML_DEPTH, YAML_NODES


def read(text: str | bytes, *, foreign_tags: bool = False) -> Any:
    return yaml_guard.read(text, name="x.yaml", error=ProjectFileError, foreign_tags=foreign_tags).value


def _laughs(levels: int, width: int = 9) -> str:
    lines = ["a0: &a0 [" + ", ".join(["lol"] * width) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(lines)


BOMBS = {
    "a billion laughs": (_laughs(10), "aliases|values"),
    "few aliases that double": ("\n".join(["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]), "values"),
    "many aliases": ("a: &a 1\nb: [" + ", ".join(["*a"] * (YAML_ALIASES + 1)) + "]", "aliases"),
    "deep lists": ("[" * 100_000, "deeper|maximum nesting depth"),
    "deep mappings": ("{a: " * 100_000, "deeper|maximum nesting depth"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(1200)), "deeper"),
    "many values": ("[" + "1," * (YAML_NODES + 1) + "]", "values"),
    "a large file": ("x" * (REPOSITORY_FILE_BYTES + 1), "larger"),
    "an alias of itself": ("a: &a [*a]", "stands for itself"),
    "an alias of nothing": ("a: *b", "stands for itself or for nothing"),
    "merges that double": ("\n".join(["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], y{n}: 1}}" for n in range(1, 40)]), "values"),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_quickly_and_in_little_memory(bomb: str) -> None:
    text, said = BOMBS[bomb]
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ProjectFileError, match=said):
            read(text)
        assert time.process_time() - began < 5
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_what_is_within_the_limits_is_read() -> None:
    assert read("[" * YAML_DEPTH + "]" * YAML_DEPTH) is not None
    assert len(read("a: &a 1\nb: [" + ", ".join(["*a"] * YAML_ALIASES) + "]")["b"]) == YAML_ALIASES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands here twice"),
        ("a: {b: 1, b: 2}", "line 1: the key 'b' stands here twice"),
        ("? [a]\n: 1", "a key is a list"),
        ("a: !!python/object/apply:os.system [id]", "the tag .*os.system"),
        ("a: !!binary aGk=", "the tag"),
        ("a: !x 1", "the tag !x"),
        ("a: 99999999999999999999", "too large"),
        ("a: 1e999", "too large"),
        ("a: [1", "line 1|line 2"),
        ("a: b: c", "not valid YAML"),
        ("--- 1\n--- 2", "not valid YAML"),
        ("\ta: 1", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        (b"a: \xff\xfe", "not UTF-8"),
        ("a: \ud800", "not UTF-8"),
        ("a: {<<: 1}", "<< takes mappings"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str | bytes, said: str) -> None:
    with pytest.raises(ProjectFileError, match=said):
        read(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: push", {"on": "push"}),
        ("a: no", {"a": "no"}),
        ("a: 012", {"a": "012"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 2024-01-31", {"a": "2024-01-31"}),
        ("a: .nan", {"a": ".nan"}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: -1.5", {"a": -1.5}),
        ("a: true\nb: ~\nc:", {"a": True, "b": None, "c": None}),
        ("a: '1'\nb: !!str 1\nc: \"\"", {"a": "1", "b": "1", "c": ""}),
        ("1: x\ntrue: y", {"1": "x", "true": "y"}),
        ("d: &d {x: 1, y: 1}\ne: {<<: *d, x: 2}", {"d": {"x": 1, "y": 1}, "e": {"x": 2, "y": 1}}),
        (b"\xef\xbb\xbfa: \xc3\xa9", {"a": "é"}),
        ("", None),
    ],
)
def test_words_mean_what_they_say(text: str | bytes, value: Any) -> None:
    assert read(text) == value


def test_foreign_tags_are_overlooked_where_that_is_asked_for() -> None:
    assert read("a: !!python/tuple [1, 2]", foreign_tags=True) == {"a": [1, 2]}


def test_each_value_has_its_line() -> None:
    document = yaml_guard.read("a:\n  - b: 1\n    c: 2\n", name="x", error=ProjectFileError)
    assert document.lines[("a", 0, "c")] == 3


# What YAML takes as it stands: no control characters, no line breaks of its own.
texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Cn", "Co"), exclude_characters="\ufeff"))
plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=500, deadline=None)
@given(plain_json)
def test_plain_json_is_read_as_it_is(value: Any) -> None:
    assert read(json.dumps(value, ensure_ascii=False)) == value


# Texts that YAML 1.1 (which PyYAML writes) leaves bare and YAML 1.2 reads as numbers: `0E0`, `0o7`.
of_two_minds = re.compile(r"[-+]?(\.?\d|0[ox])")


def _unambiguous(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_unambiguous(part) for item in value.items() for part in item)
    if isinstance(value, list):
        return all(_unambiguous(part) for part in value)
    return not (isinstance(value, str) and of_two_minds.match(value))


@settings(max_examples=300, deadline=None)
@given(plain_json.filter(_unambiguous))
def test_what_a_yaml_library_writes_is_read_back(value: Any) -> None:
    assert read(yaml.safe_dump(value, allow_unicode=True)) == value


@settings(max_examples=1000, deadline=None)
@given(st.text(st.sampled_from("ab:- \n\t[]{}&*!|>%@`'\"#,?<~0.1\u2028\ud800\x00é")) | st.binary(max_size=200))
def test_anything_is_either_plain_json_or_the_callers_error(text: str | bytes) -> None:
    try:
        value = read(text)
    except ProjectError:
        return
    json.dumps(value, allow_nan=False)
