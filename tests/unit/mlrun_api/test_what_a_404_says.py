"""Only MLRun can say that something is not there: what stands in front of it says 404 while MLRun is upgraded."""

from __future__ import annotations

import pytest

from service.errors import MlrunAway, MlrunRefused
from service.mlrun_api.answers import Answer, Asked, refusal

ASKED = Asked("the MLRun API at mlrun:8080", "read the run 1 of fraud", lambda text: text)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"default backend - 404",
        b"<html><body><h1>404 Not Found</h1></body></html>",
        b'{"detail": "Not Found"}',
        b'{"detail": []}',
        b'{"detail": {}}',
        b'{"message": "no Route matched with those values"}',
        b'["detail"]',
        b"[" * 100_000,
    ],
)
def test_a_404_of_somebody_else_says_nothing_and_nothing_was_done(body: bytes) -> None:
    away = refusal(Answer(404, {}, body), ASKED)
    assert isinstance(away, MlrunAway)
    assert (away.answer, away.sent) == (404, False)
    assert "mlrun.api" in away.mend


@pytest.mark.parametrize(
    "body",
    [
        b'{"detail": "MLRunNotFoundError(\'Run uid 1 of project fraud not found\')"}',
        b'{"detail": {"project": "fraud", "uid": "1"}}',
        b'{"detail": {"reason": "MLRunNotFoundError"}}',
    ],
)
def test_a_404_of_mlruns_own_says_that_it_is_not_there(body: bytes) -> None:
    assert isinstance(refusal(Answer(404, {}, body), ASKED), MlrunRefused)
