"""Write the next step after the models were changed: `python -m service.store.migrations "runs know their priority"`.

What comes out is a proposal: read it, and say how rows that are there get their new values.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from service.store import migrations
from service.store.database import sqlite_engines


def main() -> None:
    settings = migrations.config()
    steps = len(list((Path(__file__).parent / "versions").glob("[0-9]*.py")))
    with tempfile.TemporaryDirectory() as folder:
        engine, readers = sqlite_engines(Path(folder) / "store.db")
        migrations.upgrade(engine)
        with engine.begin() as connection:
            settings.attributes["connection"] = connection
            command.revision(settings, sys.argv[1], autogenerate=True, rev_id=f"{steps + 1:04}")
        engine.dispose()
        readers.dispose()


if __name__ == "__main__":
    main()
