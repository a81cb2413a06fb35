"""A handler's memory while one message is sent: reads the store, and writes nothing before the message is settled."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from service import limits
from service.domain.projects import Json
from service.store import Store, handler_notes


class Notes:
    def __init__(self, store: Store, handler: str, *, doubt: bool = False) -> None:
        self.doubt = doubt
        self._store = store
        self._handler = handler
        self._put: dict[str, Json] = {}

    def get(self, key: str) -> Json | None:
        if key in self._put:
            return dict(self._put[key])
        with self._store.read() as conn:
            return handler_notes.find(conn, self._handler, key)

    def put(self, key: str, note: Json) -> None:
        if len(key) > limits.HANDLER_NOTE_KEY:
            raise ValueError(f"a key of {len(key)} characters is more than {limits.HANDLER_NOTE_KEY}")
        size = len(msgspec.json.encode(note))
        if size > limits.HANDLER_NOTE_BYTES:
            raise ValueError(f"a note of {size} bytes is more than {limits.HANDLER_NOTE_BYTES}")
        self._put[key] = dict(note)

    def keep(self, conn: Connection) -> None:
        """Write what was put, in the caller's transaction."""
        for key, note in self._put.items():
            handler_notes.put(conn, self._handler, key, note, now=self._store.now())

    @property
    def changed(self) -> bool:
        return bool(self._put)
