"""`python runner.pyz JOB.json` runs one job; `--warm SOCKET` is the parent of warm jobs, `--pod FOLDER` the first process of a pod."""

from __future__ import annotations

import os
import sys

USAGE = "usage: runner.pyz JOB.json | runner.pyz --warm SOCKET [--idle SECONDS] | runner.pyz --pod FOLDER\n"


def main(arguments: list[str]) -> int:
    if len(arguments) in (2, 4) and arguments[0] == "--warm" and arguments[2:3] in ([], ["--idle"]):
        from .warm import IDLE_S, serve

        return serve(arguments[1], float(arguments[3]) if arguments[3:] else IDLE_S)
    if len(arguments) == 2 and arguments[0] == "--pod":
        from .pod.companion import main as accompany

        return accompany(arguments[1])
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(USAGE)
        return 2
    from .job import BadJobError, read

    try:
        job = read(arguments[0])
    except BadJobError as exc:
        sys.stderr.write(f"{arguments[0]}: {exc}\n")
        return 2
    from .execute import execute
    from .process import leave

    leave(execute(job, warm=False))
    return os.EX_SOFTWARE  # not reached: leave() ends the process


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
