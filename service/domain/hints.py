"""What a webhook's hint and a fetch's truth come to: is there something to sync, and what to tell the delivery."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.plan import Cause
from service.domain.states import Outcome, SyncState


@dataclass(frozen=True, slots=True)
class Last:
    """The newest sync of a project on a ref."""

    commit: str
    state: SyncState
    cause: Cause


def cause(tip: str, last: Last | None, *, hinted: bool, asked: bool) -> Cause | None:
    """Why to sync `tip`; None: nothing is new. A failed sync is repeated only when somebody pushes or asks again.

    Whether a push is fetched before or after its own webhook came (a poll or another ref's webhook may be faster) makes
    no difference to what runs in the end.
    """
    if asked:
        return Cause.MANUAL
    if last is None:
        return Cause.PUSH if hinted else Cause.FIRST
    if last.commit != tip:
        return Cause.PUSH if hinted else Cause.FOUND
    if not hinted:
        return None
    if last.state == SyncState.FAILED:
        return Cause.RETRY
    return Cause.TOLD if last.cause is Cause.FIRST else None


def answer(
    after: str | None, tip: str, *, made: bool, concerned: bool, failure: str | None, known: bool, asked: bool
) -> tuple[Outcome, str]:
    """The outcome of a delivery about a ref whose tip the fetch found, and the reason.

    `after` is what the delivery said, `known` whether the repository has that commit, `made` whether a sync came of it.
    """
    if failure is not None:
        return Outcome.FAILED, failure
    if not concerned:
        return Outcome.NO_PROJECT, "no project of this repository is bound to this ref"
    if asked:
        return Outcome.SYNCED, "asked for"
    if after is None:
        return Outcome.UNCHANGED, "said to be deleted, but the ref is still there"
    if after != tip:
        why = (
            "a newer commit was there when it was fetched" if known else "the repository has no such commit (any more)"
        )
        return Outcome.SUPERSEDED, why
    if made:
        return Outcome.SYNCED, ""
    return Outcome.UNCHANGED, "this commit was synced already"
