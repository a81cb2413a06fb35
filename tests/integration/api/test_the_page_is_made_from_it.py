"""docs/reference/api.md is made from the document that a service with tokens really serves."""

from __future__ import annotations

import json

from docs.generate import api
from tests.integration.api.conftest import Api


def test_the_reference_describes_the_document_that_is_served(guarded: Api) -> None:
    served = guarded.client.get("/openapi.json").json
    assert served == json.loads(api.document_text())
