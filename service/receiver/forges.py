"""The forges by name, as in `POST /webhooks/<forge>/<hook>`."""

from __future__ import annotations

from importlib import import_module

from service.receiver.forge import Forge

# A new forge is one module beside this one, which ends with `FORGE: Forge = ...`, and one line here.
_MODULES = (
    "github",
    "generic",
)


def _load(module: str) -> Forge:
    forge: Forge = import_module(f"service.receiver.{module}").FORGE
    return forge


FORGES: dict[str, Forge] = {forge.name: forge for forge in map(_load, _MODULES)}
