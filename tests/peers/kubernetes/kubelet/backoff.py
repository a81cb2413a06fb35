"""How long the kubelet waits between tries: shorter than the real one, so that tests need not wait for minutes."""

from __future__ import annotations

from collections.abc import Iterator

# First and longest wait, in seconds; the real ones stand beside them.
PULL_S = (1.0, 4.0)  # 10 s to 5 min
RESTART_S = (1.0, 8.0)  # 10 s to 5 min
CONFIGURE_S = (1.0, 4.0)  # each sync of the pod, about 10 s apart
MOUNT_S = (0.5, 4.0)  # 0.5 s to 2 min


def of(limits: tuple[float, float], first: float | None = None) -> Iterator[float]:
    """`first`, if given, then twice as long each time; without end."""
    seconds, longest = limits
    if first is not None:
        yield first
    while True:
        yield seconds
        seconds = min(seconds * 2, longest)
