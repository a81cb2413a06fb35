"""Messages as people see them in Slack, on a phone and on a desktop: payload → page → picture, to be looked at.

Not Slack's own client, but its rules of layout as far as they decide what can be read: widths, columns, what wraps, what is cut.
"""

from tests.peers.slack.pictures.browser import Browser
from tests.peers.slack.pictures.page import DESKTOP, PHONE, Shown, page

__all__ = ["DESKTOP", "PHONE", "Browser", "Shown", "page"]
