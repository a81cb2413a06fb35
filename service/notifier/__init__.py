"""News for people. `announce` writes it into the outbox with whatever it tells about; `deliver` sends it afterwards.

The outbox has one row a (message, handler), and one piece of work a handler: a handler's messages leave in order, and one
that fails waits alone, with its own queue.
"""

from service.notifier.notifier import Notifier, a_test_message, make_handlers

__all__ = ["Notifier", "a_test_message", "make_handlers"]
