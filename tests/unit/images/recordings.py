"""The recorded answers of the released SDKs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.images import matrix

AGAIN = "ask the SDKs again: requirements/registry .venv/bin/python -m tests.unit.images.record"


@dataclass(frozen=True)
class Recording:
    """What one release's `enrich_image_url` made of each image."""

    document: dict[str, Any]

    def asked(self, version: str) -> list[str]:
        return list(self.document["asked"][version])

    def answer(self, image: str, *, version: str, python: str | None, registry: str = "") -> str:
        """What becomes of `image` for a client of `version` on `python`, with the server's `images_registry`."""
        assert image in self.asked(version), f"{image} was not asked about; {AGAIN}"
        (row,) = [
            row
            for row in self.document["answers"]
            if (row["version"], row["python"], row["registry"]) == (version, python, registry)
        ]
        return str(row["changed"].get(image, image))


def read(sdk: str) -> Recording:
    path = Path(__file__).parent / "recorded" / f"mlrun-{sdk}.json"
    return Recording(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module", params=matrix.SDKS)
def recording(request: pytest.FixtureRequest) -> Recording:
    """Of each release in turn."""
    return read(request.param)
