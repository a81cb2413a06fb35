"""Made-up steps behind the real ones: the release after this one, as far as its database goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.store import migrations

_STEP = '''"""Made up."""

import sqlalchemy as sa
from alembic import op

from service.store.migrations import beside

revision = "{number}"
down_revision = "{before}"
unused_since = {unused_since!r}


def upgrade() -> None:
    {does}
'''


@contextmanager
def next_release(folder: Path, *steps: str, unused_since: str | None = None) -> Iterator[str]:
    """Each of `steps` is a line of Python; what is opened meanwhile is of the release that has them. Its newest step."""
    versions = shutil.copytree(Path(migrations.__file__).parent, folder / "next") / "versions"
    number = before = migrations.newest()
    for does in steps:
        number = f"{int(before) + 1:04}"
        text = _STEP.format(number=number, before=before, does=does, unused_since=unused_since)
        (versions / f"{number}_made_up.py").write_text(text)
        before = number
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "_HERE", versions.parent)
        yield number
