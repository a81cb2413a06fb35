"""What runs does not depend on which comes first, a fetch or the webhook of what it finds."""

from __future__ import annotations

import pytest

from service.domain.hints import Last, cause
from service.domain.plan import Cause
from service.domain.states import SyncState

TIP, OLDER = "a" * 40, "b" * 40


def last(commit: str = TIP, state: SyncState = SyncState.SUCCEEDED, why: Cause = Cause.PUSH) -> Last:
    return Last(commit, state, why)


@pytest.mark.parametrize(
    ("known", "hinted", "expected"),
    [
        (None, True, Cause.PUSH),
        (None, False, Cause.FIRST),
        (last(OLDER), True, Cause.PUSH),
        (last(OLDER), False, Cause.FOUND),
        (last(), True, None),
        (last(), False, None),
        (last(state=SyncState.FAILED), True, Cause.RETRY),
        (last(state=SyncState.FAILED), False, None),
        (last(why=Cause.FIRST), True, Cause.TOLD),
        (last(why=Cause.FIRST, state=SyncState.QUEUED), True, Cause.TOLD),
        (last(why=Cause.FIRST), False, None),
        (last(why=Cause.TOLD), True, None),
    ],
)
def test_why_a_tip_is_synced(known: Last | None, hinted: bool, expected: Cause | None) -> None:
    assert cause(TIP, known, hinted=hinted, asked=False) is expected
    assert cause(TIP, known, hinted=hinted, asked=True) is Cause.MANUAL
