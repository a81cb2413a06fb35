"""The REST API under /api/v1, and its own description at /openapi.json.

`make_app` makes the Flask app that everything of `web` is put on; `register` puts the API on it.
"""

from service.web.api.actions import Actions, Log
from service.web.api.app import make_app, register

__all__ = ["Actions", "Log", "make_app", "register"]
