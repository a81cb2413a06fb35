"""What the companion says for people to read."""

from __future__ import annotations

import contextlib
import os
import sys

# Where Kubernetes looks for why a container ended.
TERMINATION_LOG = "/dev/termination-log"


def say(text: str) -> None:
    """Into the pod's log."""
    sys.stderr.write(f"gitops: {text}\n")
    sys.stderr.flush()


def say_why(text: str) -> None:
    """Why the pod ends as it does, or will."""
    say(text)
    if os.path.exists(TERMINATION_LOG):
        with contextlib.suppress(OSError), open(TERMINATION_LOG, "w", encoding="utf-8", errors="replace") as file:
            file.write(text[:1000])
