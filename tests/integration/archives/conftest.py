"""A repository on a forge, and a Source that mirrors it, as the tests of the source have them."""

from tests.integration.source.conftest import forge, place, place_for

__all__ = ["forge", "place", "place_for"]
