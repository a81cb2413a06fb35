"""The webhook side alone as a real program: `python -m tests.integration.webhooks.service CONFIG`; prints its URL.

Store, intake, blueprint and server are the real ones; no worker does the work, so that a test sees what was wanted.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from flask import Flask

from service.errors import GitopsError
from service.receiver import Intake, Spool
from service.settings import Settings, load_settings
from service.store import Store, open_store
from service.web import health, problems, webhooks
from service.web.server import Served, serve


def make_app(settings: Settings, store: Store, intake: Intake) -> Flask:
    app = Flask(__name__)
    metrics = health.Metrics()
    problems.register(app)
    app.register_blueprint(webhooks.blueprint(intake, metrics))
    app.register_blueprint(health.blueprint({"store": lambda: read(store)}, metrics))
    app.add_url_rule("/pid", "pid", lambda: str(os.getpid()))
    app.add_url_rule("/environment", "environment", lambda: dict(os.environ))
    app.add_url_rule("/slow", "slow", _slow)
    return app


def _slow() -> str:
    """A request that is in flight for a while; it says on the log that it is."""
    print("in flight", file=sys.stderr, flush=True)
    time.sleep(1)
    return "done"


def read(store: Store) -> None:
    with store.read():
        pass


def factory(settings: Settings) -> Served:
    store = open_store(settings)
    intake = Intake(settings, store, Spool(settings.data_dir / "spool"))

    def close() -> None:
        intake.close()
        store.close()

    return Served(make_app(settings, store, intake), close)


def main() -> int:
    try:
        idle_s = float(os.environ.get("GITOPS_TEST_IDLE_S", "90"))
        serve(load_settings(Path(sys.argv[1])), factory, lambda url: print(url, flush=True), idle_s=idle_s)
    except GitopsError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
