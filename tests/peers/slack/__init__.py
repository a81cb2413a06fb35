"""A strict stand-in for Slack, since no real one can be had: a server that knows Slack's documented rules and nothing lax.

`rules` are tables with sources, `content` holds a message against them, `workspace` is the state that tests look at, `methods`
and `webhooks` answer, `faults` misbehaves when told to, `server` speaks HTTP. `pictures` shows messages as people see them.
"""

from tests.peers.slack.faults import Faults
from tests.peers.slack.server import SlackPeer
from tests.peers.slack.workspace import Channel, Message, Refusal, Workspace

__all__ = ["Channel", "Faults", "Message", "Refusal", "SlackPeer", "Workspace"]
