"""What no single key can tell: settings that are fine alone and wrong together."""

from __future__ import annotations

from collections.abc import Iterator

from service.domain.subscriptions import examples, topics
from service.settings.model import Settings
from service.settings.problems import Problem


def contradictions(settings: Settings, *, root: bool) -> Iterator[Problem]:
    yield from _names_are_distinct(settings)
    yield from _subscriptions_make_sense(settings)
    yield from _strangers_are_kept_out(settings, root=root)
    yield from _pods_find_the_service(settings)
    yield from _mlrun_is_there(settings)


def _names_are_distinct(settings: Settings) -> Iterator[Problem]:
    """A repository and a hook share the addresses under /webhooks, so they share the names too."""
    seen: dict[str, str] = {}
    for key, entries in (("repositories", settings.repositories), ("hooks", settings.hooks)):
        for i, hook in enumerate(entries):
            here = f"{key}[{i}].name"
            if hook.name in seen:
                yield Problem(here, f"is taken by {seen[hook.name]}", "choose another name", repr(hook.name))
            seen.setdefault(hook.name, here)


def _subscriptions_make_sense(settings: Settings) -> Iterator[Problem]:
    for i, subscription in enumerate(settings.notify):
        if subscription.to not in settings.handlers:
            known = ", ".join(sorted(settings.handlers))
            yield Problem(f"notify[{i}].to", "is no handler", f"handlers has: {known}", repr(subscription.to))
        for pattern in subscription.on:
            if not topics(pattern):
                yield Problem(f"notify[{i}].on", "means no event", f"write for example {examples()}", repr(pattern))


def _strangers_are_kept_out(settings: Settings, *, root: bool) -> Iterator[Problem]:
    """Beyond loopback there are strangers: the API needs tokens, and runners a user of their own or a word of trust."""
    if settings.server.loopback:
        return
    host = repr(settings.server.host)
    if not settings.auth.tokens:
        mend = "add auth.tokens (`mlrun-gitops token` makes one), or listen on 127.0.0.1"
        yield Problem("server.host", "is open to the network, and the API has no tokens", mend, host)
    loads = settings.launcher.loads if settings.launcher.kind == "mlrun" else settings.launcher.kind
    if loads == "process" and not root and not settings.launcher.trusted:
        what = "with the process launcher, everybody who can push acts as the service's own user"
        mend = "write `trusted: true` if that is meant, or run the service as root, so that runners get a user of their own"
        yield Problem("launcher.trusted", what, mend, "False")


def _pods_find_the_service(settings: Settings) -> Iterator[Problem]:
    if "kubernetes" in settings.launchers_in_use and not (settings.server.internal_url or settings.server.public_url):
        what = "is missing, and pods are told where the service is"
        mend = "write the address that pods reach, for example http://mlrun-gitops.mlrun.svc:8080"
        yield Problem("server.internal_url", what, mend, "None")


def _mlrun_is_there(settings: Settings) -> Iterator[Problem]:
    """MLRun's runner and MLRun's clock are behind MLRun's API."""
    if settings.mlrun.api is not None:
        if settings.mlrun.source == "archive" and not (settings.server.internal_url or settings.server.public_url):
            what = "is missing, and MLRun fetches archives of the files from the service"
            mend = "write the address that MLRun's pods reach, or set mlrun.source: git"
            yield Problem("server.internal_url", what, mend, "None")
        return
    mend = "write the address of the MLRun API, for example http://mlrun-api:8080"
    if "mlrun" in settings.launchers:
        yield Problem("mlrun.api", "is missing, and the launcher mlrun runs workflows by it", mend, "None")
    if settings.schedules.owner == "mlrun":
        yield Problem("mlrun.api", "is missing, and schedules.owner is mlrun", mend, "None")
