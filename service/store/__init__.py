"""Everything that must survive a crash. `open_store` gives a `Store`; the modules beside hold one table each.

A caller reads with `with store.read() as connection:` and writes with `store.write(change)`; the functions of
`deliveries`, `work`, `runs` and so on take that connection first, so that one transaction may touch several tables.
"""

from service.store.front import Store, open_store
from service.store.ids import new_id
from service.store.state import StoreState, look_at_store
from service.store.waiters import Found, Seek

__all__ = ["Found", "Seek", "Store", "StoreState", "look_at_store", "new_id", "open_store"]
