"""`python -m docs.generate` writes the pages that are made from code, and the OpenAPI document into build."""

from __future__ import annotations

from docs.generate import HOUSE, OPENAPI, api, pages, stale

made = pages()
for name in stale(made):
    (HOUSE / name).write_text(made[name], encoding="utf-8")
    print(name)  # noqa: T201 - what a person who called it wants to know
OPENAPI.parent.mkdir(exist_ok=True)
OPENAPI.write_text(api.document_text(), encoding="utf-8")
