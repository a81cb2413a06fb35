"""The scripts that the guide shows are run as they stand there, with only places and ports replaced."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from service.receiver import Intake, Spool
from service.settings import Settings
from service.store import Store, deliveries, open_store
from service.store.deliveries import Delivery
from tests.integration.webhooks.service import make_app
from tests.unit.house.markdown import Block, blocks
from tests.unit.house.tree import HOUSE
from tests.unit.store.rows import delivery

SECRET = "the word in fraud.webhook-secret"
WRITTEN_WHILE_COPIED = 200


def scripts(page: str) -> list[Block]:
    return [block for block in blocks("bash") if block.page.name == page]


def run(script: str, folder: Path) -> str:
    """In bash as a reader has it: with `mlrun-gitops` on PATH."""
    words = f'mlrun-gitops() {{ PYTHONPATH={HOUSE} {sys.executable} -m service "$@"; }}\n{script}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", words], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_each(store: Store, rows: list[Delivery]) -> None:
    for row in rows:
        store.write(partial(deliveries.add, delivery=row))


def test_every_script_of_the_guide_is_run_here() -> None:
    assert {block.page.name for block in blocks("bash")} == {"getting-started.md", "operating.md", "operators-guide.md"}
    assert len(scripts("getting-started.md")) == 1
    assert len(scripts("operating.md")) == 2
    assert len(scripts("operators-guide.md")) == 4  # tried in test_the_operators_guide_keeps_a_store.py


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[int, Store]]:
    """The webhook side of a service with the repository that the guide shows; its port."""
    repository = {"name": "fraud", "url": "https://git.example.com/ml/fraud.git", "forge": "generic"}
    settings = Settings.model_validate(
        {"data_dir": tmp_path / "data", "repositories": [{**repository, "webhook_secrets": [SECRET]}]}
    )
    with closing(open_store(settings)) as store:
        intake = Intake(settings, store, Spool(settings.data_dir / "spool"))
        server = make_server("127.0.0.1", 0, make_app(settings, store, intake), threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port, store
        server.shutdown()
        thread.join()
        server.server_close()
        intake.close()


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="apt-get install curl openssl")
def test_a_script_tells_of_a_push_with_openssl_and_curl(served: tuple[int, Store], tmp_path: Path) -> None:
    port, store = served
    (tmp_path / "fraud.webhook-secret").write_text(f"{SECRET}\n", encoding="utf-8")
    [block] = scripts("getting-started.md")
    said = json.loads(run(block.text.replace(":8080", f":{port}"), tmp_path))
    assert said["status"] == "accepted", said
    with store.read() as conn:
        assert deliveries.get(conn, said["delivery"]).ref == "refs/heads/main"


def test_a_backup_of_a_store_at_work_is_one_moment_of_it_and_can_be_put_back(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    (tmp_path / "config.yaml").write_text("data_dir: data\n", encoding="utf-8")
    backup, restore = (block.text for block in scripts("operating.md"))
    written = [delivery() for _ in range(WRITTEN_WHILE_COPIED)]
    before, later = delivery(), delivery()
    with closing(open_store(settings)) as store:
        store.write(lambda conn: deliveries.add(conn, before))
        writer = threading.Thread(target=write_each, args=(store, written))
        writer.start()
        run(backup, tmp_path)
        writer.join()
        store.write(lambda conn: deliveries.add(conn, later))
    run(restore, tmp_path)
    with closing(open_store(settings)) as store, store.read() as conn:
        found = {one.id for one in deliveries.page(conn, limit=1000)[0]}
    assert before.id in found
    assert later.id not in found
    # A whole prefix of what one writer wrote, one after the other.
    kept = [one.id in found for one in written]
    assert kept == sorted(kept, reverse=True)
