"""What a load left, read as JSON. Its job runs anybody's code, so that nothing of it is believed."""

from __future__ import annotations

import json
from typing import Any

from service import limits
from service.errors import LoadFailed


def result_of(job: str, data: bytes | None) -> dict[str, Any]:
    """The document that `data` is; None is nothing. Raises LoadFailed."""
    if data is None:
        raise LoadFailed(f"job {job} left no result")
    if len(data) > limits.LOAD_RESULT_BYTES:
        raise LoadFailed(f"the result of job {job} is larger than {limits.LOAD_RESULT_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LoadFailed(f"the result of job {job} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise LoadFailed(f"the result of job {job} is no object")
    return document
