"""A stand-in, and slack-sdk's clients pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from tests.peers.slack import SlackPeer


@pytest.fixture
def slack() -> Iterator[SlackPeer]:
    with SlackPeer(paced=False) as peer:
        yield peer


@pytest.fixture
def client(slack: SlackPeer) -> WebClient:
    return client_of(slack)


def client_of(peer: SlackPeer, **also) -> WebClient:
    return WebClient(token=also.pop("token", peer.token), base_url=peer.api_url, timeout=5, **also)
