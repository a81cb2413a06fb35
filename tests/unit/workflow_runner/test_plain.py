"""Values as plain JSON, or an error that says where one is not."""

from __future__ import annotations

import datetime
import enum
import math
from pathlib import PurePosixPath
from typing import Any

import pytest

from service.workflow_runner.plain import NotPlainError, plain


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 1, 2, tzinfo=datetime.UTC), "2024-02-29T01:02:00+00:00"),
        (Colour.RED, "red"),
        ({3: {None: 1, True: 2}}, {"3": {"null": 1, "true": 2}}),
        ((1, (2.5,)), [1, [2.5]]),
        ({"b", "a"}, ["a", "b"]),
        (PurePosixPath("/a"), "/a"),
        (True, True),
    ],
)
def test_a_value_becomes_its_json_twin(value: Any, becomes: Any) -> None:
    assert plain(value, "x") == becomes
    assert type(plain(value, "x")) is type(becomes)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1, math.nan]}, "x.a[1] is nan"),
        ({"a": math.inf}, "x.a is inf"),
        ({"a": {"b": b"bytes"}}, "x.a.b is a bytes"),
        ([object()], "x[0] is a object"),
        ({(1, 2): 3}, "x has a key that is a tuple"),
    ],
)
def test_what_json_has_no_form_for_is_named_with_its_place(value: Any, words: str) -> None:
    with pytest.raises(NotPlainError) as caught:
        plain(value, "x")
    assert words in str(caught.value)
    if "key" not in words:
        assert plain(value, "x", strict=False) is not None
