"""`mlrun-gitops demo`: the main job, shown on a real repository, each sentence said only after it was checked.

A client as `cli` is: it starts the service as a child process, beside a Git server on loopback whose webhook speaks as
GitHub does, pushes a sample project and looks at the API. `stage` has what is started, `story` what happens, `checks` what is
said, `screen` how it looks.
"""

from __future__ import annotations

from service.demo.checks import Check
from service.demo.curtain import demo

__all__ = ["Check", "demo"]
