"""Wires the rooms together; the only place that does. `serve` is a whole service, `Service` the same in a test's process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from flask import Flask

from service.errors import SettingsError
from service.launchers import Launcher
from service.launchers.callbacks import Callbacks
from service.launchers.kubernetes import KubernetesLauncher
from service.launchers.mlrun import MlrunLauncher
from service.launchers.process import ProcessLauncher, place
from service.launchers.supported import check_supported
from service.launchers.tracking import tracking
from service.log import configure_log
from service.mlrun_api import MlrunApi
from service.notifier import Notifier
from service.receiver import Intake, SignatureOnly
from service.receiver.spool import Spool
from service.reconciler import Reconciler, Rooms
from service.reconciler.actions import Actions
from service.reconciler.archives import repository_of
from service.reconciler.images import PROCESS
from service.reconciler.in_mlrun import may_submit
from service.reconciler.news import of_rejection
from service.references import NONE, References, import_all, log_imports, references
from service.settings import Settings
from service.source import Source
from service.store import Store, open_store
from service.targets.mlrun import MlrunImages, MlrunTarget
from service.web import api, archives, health, runners, server, webhooks


@dataclass(frozen=True, slots=True)
class Service:
    """Everything of one process. `stop` lets runs run on; the next service adopts them."""

    app: Flask
    store: Store
    reconciler: Reconciler
    intake: Intake
    source: Source
    notifier: Notifier
    mlrun: MlrunApi | None

    def stop(self) -> None:
        self.reconciler.stop()
        if self.mlrun is not None:
            self.mlrun.close()
        self.notifier.close()
        self.intake.close()
        self.source.close()
        self.store.close()


def make_service(
    settings: Settings, *, launchers: Mapping[str, Launcher] | None = None, reference: References = NONE
) -> Service:
    """A service at work. Raises SettingsError, StoreUnavailable."""
    store = open_store(settings, batch=reference.batch)
    notifier = Notifier(settings, store)
    intake = (SignatureOnly if reference.signature_only else Intake)(
        settings,
        store,
        Spool(settings.data_dir / "spool"),
        on_rejected=lambda conn, delivery: of_rejection(notifier, conn, delivery),
    )
    mlrun = MlrunApi(settings) if settings.mlrun.api is not None else None
    rooms = Rooms(
        settings=settings,
        store=store,
        source=Source(settings),
        launchers=launchers or _make_launchers(settings, store, mlrun),
        notifier=notifier,
        intake=intake,
        target=MlrunTarget(mlrun) if mlrun is not None else None,
        images=MlrunImages(mlrun) if mlrun is not None else None,
        place=place(settings) if settings.store.url is not None and PROCESS in settings.launchers else "",
    )
    metrics = health.Metrics()
    reconciler = Reconciler(rooms, lambda kind, seconds: metrics.work_seconds.labels(kind).observe(seconds))
    app = _make_app(rooms, metrics)
    reconciler.start()
    return Service(app, store, reconciler, intake, rooms.source, notifier, mlrun)


def _in_mlrun(settings: Settings, store: Store, mlrun: MlrunApi | None) -> Launcher:
    if mlrun is None:  # settings that were read have it beside this launcher
        raise SettingsError("the launcher 'mlrun' has no MLRun API", mend="Set mlrun.api")
    return MlrunLauncher(store, mlrun, partial(may_submit, settings.mlrun_address))


LAUNCHERS: dict[str, Callable[[Settings, Store, MlrunApi | None], Launcher]] = {
    "process": lambda settings, *_: ProcessLauncher(settings),
    "kubernetes": lambda settings, store, _: KubernetesLauncher(settings, store),
    "mlrun": _in_mlrun,
}


def _make_launchers(settings: Settings, store: Store, mlrun: MlrunApi | None) -> dict[str, Launcher]:
    """By name. Raises SettingsError for one that this version does not have."""
    check_supported(settings)
    return {name: LAUNCHERS[name](settings, store, mlrun) for name in settings.launchers_in_use}


def _make_app(rooms: Rooms, metrics: health.Metrics) -> Flask:
    app = api.make_app("mlrun-gitops")
    app.register_blueprint(webhooks.blueprint(rooms.intake, metrics))
    files = archives.Archives(rooms.source.archive, rooms.settings.server.threads)
    app.register_blueprint(runners.blueprint(Callbacks(rooms.store, tracking(rooms.settings)), files))
    app.register_blueprint(archives.blueprint(partial(repository_of, rooms.store), files))
    app.register_blueprint(health.blueprint({"store": lambda: _readable(rooms.store)}, metrics))
    api.register(app, rooms.settings, rooms.store, Actions(rooms))
    return app


def _readable(store: Store) -> None:
    with store.read():
        pass


def serve(settings: Settings, announce: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT. `announce` hears the URL once the port is ours."""
    reference = references(settings, os.environ)
    if reference.imports:
        import_all(reference.imports)
    server.serve(settings, partial(_serve_in_worker, reference), announce)


def _serve_in_worker(reference: References, settings: Settings) -> server.Served:
    configure_log()
    if reference.imports:
        log_imports(reference.imports)
    service = make_service(settings, reference=reference)
    return server.Served(service.app, service.stop)
