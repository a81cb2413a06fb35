"""The stores that the tests of the store itself have."""

from tests.unit.store.conftest import database_url, postgres, settings, store

__all__ = ["database_url", "postgres", "settings", "store"]
