"""The verb for those who want to see it before they believe it."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave service and Git server up afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """Show the main job on a real repository, each step checked."""
    from service.demo import demo as show

    raise typer.Exit(show(keep=keep))
