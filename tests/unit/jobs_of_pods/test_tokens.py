from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from service.launchers import tokens
from service.store import Store

KEY = b"k" * 32


def test_every_replica_makes_the_same_token_and_each_job_has_another(store: Store) -> None:
    first = tokens.token_of(tokens.key_of_jobs(store), "one")
    assert (
        first == tokens.token_of(tokens.key_of_jobs(store), "one") != tokens.token_of(tokens.key_of_jobs(store), "two")
    )
    assert tokens.fits(tokens.key_of_jobs(store), "one", first)
    assert len(first) == 43
    assert set(first) <= set(string.ascii_letters + string.digits + "-_")


@given(st.text(), st.text())
def test_no_text_is_a_token_but_the_one(job: str, text: str) -> None:
    assert not tokens.fits(KEY, job, text)
    assert not tokens.fits(KEY, "one", tokens.token_of(KEY, "two"))
    assert tokens.fits(KEY, job, tokens.token_of(KEY, job))
