"""A process to kill: several threads write deliveries as fast as they can and print each id once it is acknowledged.

python -m tests.unit.store.acking_writer DATA_DIR
"""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from pathlib import Path

from service.settings import Settings
from service.store import deliveries, open_store
from tests.unit.store.rows import delivery

THREADS = 8


def main() -> None:
    store = open_store(Settings(data_dir=Path(sys.argv[1])), wait_s=5)

    def write() -> None:
        while True:
            row = delivery(body=os.urandom(2000))
            store.write(partial(deliveries.add, delivery=row))
            os.write(1, f"{row.id}\n".encode())  # one small write to a pipe arrives whole

    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
