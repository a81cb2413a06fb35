"""The command line. Thin: most verbs speak to a running service's API; those that set one up or keep its store need none.

Exit codes: 0 done, 1 failed, 2 bad usage.
"""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """`mlrun-gitops`."""
    from service.cli.screen import complain
    from service.cli.verbs import app
    from service.errors import GitopsError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a log in letters that this terminal does not have is a log all the same
    try:
        app(prog_name="mlrun-gitops")
    except GitopsError as error:
        complain(error)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has enough of it; nothing more can be said there, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
