"""Tests, foldered by behaviour; `tests/peers` holds the real programs that they talk to."""
