"""What MLRun's answers say of an image that it builds."""

from __future__ import annotations

import pytest

from service.mlrun_api.answers import Answer, Asked
from service.mlrun_api.builds import Build, begun, looked_at

ASKED = Asked("the MLRun API", "build an image", lambda text: text)


@pytest.mark.parametrize("name", ["x-mlrun-function-status", "function_status"])
def test_a_build_has_ended_well_or_badly_with_its_log(name: str) -> None:
    good = looked_at(Answer(200, {name: "ready", "function_image": "registry.example.com/a:1"}, b"done"))
    assert (good.ready, good.goes_on, good.image, good.log) == (True, False, "registry.example.com/a:1", b"done")
    bad = looked_at(Answer(200, {name: "error"}, b"no such package"))
    assert (bad.ready, bad.goes_on, bad.log) == (False, False, b"no such package")
    assert looked_at(Answer(200, {name: "running"}, b"")).goes_on


def test_a_build_may_be_there_already() -> None:
    there = begun(Answer(200, {}, b'{"ready": true, "data": {"spec": {"image": "a:1"}}}'), ASKED)
    assert there == Build("ready", "a:1")
    new = begun(
        Answer(200, {}, b'{"ready": false, "data": {"status": {"state": "build"}, "spec": {"image": 3}}}'), ASKED
    )
    assert (new.ready, new.goes_on, new.image) == (False, True, "")
