"""`python -m docs.generate` writes the reference pages, and the OpenAPI document into build."""

from __future__ import annotations

from docs.generate import OPENAPI, REFERENCE, api, pages, stale

made = pages()
for name in stale(made):
    (REFERENCE / name).write_text(made[name], encoding="utf-8")
    print(f"docs/reference/{name}")  # noqa: T201 - what a person who called it wants to know
OPENAPI.parent.mkdir(exist_ok=True)
OPENAPI.write_text(api.document_text(), encoding="utf-8")
