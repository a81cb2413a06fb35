"""Brings every project to the commit that Git says, and keeps it there. `Reconciler` is the front door.

A push goes through `fetch` (what moved), `bind` (whom it concerns), `sync` (load, plan, apply), `launch` and `watch` (a run's
life); `fire` makes runs of due times. Each is a step that `dispatcher` calls while there is work of its kind.
"""

from service.reconciler.reconciler import Reconciler
from service.reconciler.rooms import Rooms

__all__ = ["Reconciler", "Rooms"]
