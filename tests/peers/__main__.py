"""`make peers`: makes the peers that need no system change, and says how to get the others.

`--quiet` makes what most tests need and says nothing of the rest, since the tests will.
"""

from __future__ import annotations

import os
import sys

from tests.peers.present import PEERS, make_runners, missing, required


def main(arguments: list[str]) -> int:
    if arguments != ["--quiet"]:
        make_runners()  # what stood in the way is said below
    absent = {name: how for name in PEERS if (how := missing(name)) is not None}
    if arguments == ["--quiet"]:
        return 0
    for name in PEERS:
        print(f"{name:12} {'missing: ' + absent[name] if name in absent else 'here'}")
    return int(any(required(name, os.environ.get("REQUIRE_PEERS", "")) for name in absent))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
