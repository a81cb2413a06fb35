"""`make peers`: makes the peers that need no system change, and says how to get the others.

`--quiet` makes what most tests need and says nothing of the rest, since the tests will.
"""

from __future__ import annotations

import os
import sys
import threading

from service.errors import GitopsError
from tests.peers import mlrun_api
from tests.peers.containers import obtain as images
from tests.peers.kubernetes import control_plane, tools
from tests.peers.present import PEERS, make_runners, missing, required, say


def _make() -> None:
    """What stood in the way is said afterwards, by the question whether they are here."""
    making = threading.Thread(target=control_plane.obtain)  # a compiler, beside what waits for downloads
    making.start()
    make_runners()
    for obtain in (tools.obtain, mlrun_api.obtain, images.obtain):
        try:
            obtain(say)
        except GitopsError as error:
            say(f"{error} {error.detail}")
    making.join()


def main(arguments: list[str]) -> int:
    if arguments != ["--quiet"]:
        _make()
    absent = {name: how for name in PEERS if (how := missing(name)) is not None}
    if arguments == ["--quiet"]:
        return 0
    for name in PEERS:
        print(f"{name:12} {'missing: ' + absent[name] if name in absent else 'here'}")
    return int(any(required(name, os.environ.get("REQUIRE_PEERS", "")) for name in absent))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
