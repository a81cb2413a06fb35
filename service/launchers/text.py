"""Pieces of UTF-8, cut where no character is torn."""

from __future__ import annotations


def whole(data: bytes) -> bytes:
    """`data` without a last character whose rest is not there yet; all of it where that would leave nothing."""
    return data[: len(data) - _torn(data)] or data


def _torn(data: bytes) -> int:
    """How many bytes at the end begin a character whose rest is not there yet."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0b1100_0000 == 0b1000_0000:
            continue
        length = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
        return back if length > back else 0
    return 0
