"""What the service speaks to, and where it is spoken to: its port, the repositories, the handlers."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from handlers import Checks, Handler, Rejected, Undelivered
from service.cli.doctor.findings import Case, Finding, bad, doubt, good
from service.domain.hosts import is_loopback
from service.domain.refs import HEADS, TAGS
from service.errors import RepositoryEmpty, SettingsError, SourceError
from service.launchers.supported import check_supported
from service.receiver import FORGES, Hooks
from service.settings import HandlerSettings, Problem, Repository, Settings
from service.source import Source

_PATIENCE_S = 20.0
_LOCAL_S = 3.0
_AT_ONCE = 8


def port(case: Case) -> Iterator[Finding]:
    """Free for a service to come, or answered by the one that is there."""
    server = case.settings.server
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::", "localhost") else server.host  # noqa: S104 - compared
    where = f"{server.host}:{server.port}"
    if server.port == 0:
        yield good("port", "a free one is taken")
    elif (said := _health(host, server.port)) is not None:
        yield (
            good("port", f"{where}: {said}")
            if said
            else bad("port", f"something else answers at {where}", "end it, or set another server.port")
        )
    else:
        yield _free(server.host, server.port, where)
    if server.public_url is None:
        mend = "set server.public_url; without webhooks, repositories are polled"
        yield doubt("address", "it is not known where forges reach the service", mend)
    elif not server.public_url.startswith("https:") and not is_loopback(_host(server.public_url)):
        yield doubt("address", f"{server.public_url} is unencrypted", "put a proxy with TLS in front")


def repositories(case: Case) -> Iterator[Finding]:
    """Each is asked for its branches with its own credentials, in a place of its own: nothing is written to data_dir."""
    if not case.settings.repositories:
        mend = "`mlrun-gitops init URL` writes a config.yaml with one; name it by --config"
        yield doubt("repositories", "none is configured", mend)
        return
    Hooks(case.settings, FORGES)
    with tempfile.TemporaryDirectory(prefix="gitops-doctor-") as temporary:
        source = _source(case.settings, Path(temporary))
        with ThreadPoolExecutor(_AT_ONCE) as crew:
            for found in crew.map(lambda one: list(_repository(source, one)), case.settings.repositories):
                yield from found
        source.close()


def handlers(case: Case) -> Iterator[Finding]:
    if not case.settings.handlers:
        return
    from service.notifier import make_handlers

    for name, one in case.settings.handlers.items():
        try:
            handler = make_handlers({name: one})[name]
        except SettingsError as error:
            for problem in error.problems:
                assert isinstance(problem, Problem)
                yield bad(f"handler {name}", f"{problem.key}: {problem.what}", problem.mend)
            continue
        yield _handler(case, name, one, handler)


def supported(case: Case) -> Iterator[Finding]:
    check_supported(case.settings)
    where = "the own store" if case.settings.mlrun.api is None else "the own store and MLRun"
    yield good("launcher", f"{case.settings.launcher.kind}; projects are saved in {where}")


def _health(host: str, port: int) -> str | None:
    """What a service there says of itself: nothing where it is none of ours, None where nobody answers."""
    try:
        connection = http.client.HTTPConnection(host, port, timeout=_LOCAL_S)
        connection.request("GET", "/readyz")
        answer = json.loads(connection.getresponse().read(65536))
        connection.close()
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    if answer.get("status") == "ok" and "store" in answer.get("checks", ()):
        return "a service is running and ready"
    return f"a service is running, but: {answer['detail']}" if "not-ready" in str(answer.get("type")) else ""


def _free(host: str, port: int, where: str) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return bad("port", f"{where} cannot be listened on: {error.strerror}", "set another server.port or host")
    return good("port", f"{where} is free")


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition(":")[0]


def _source(settings: Settings, temporary: Path) -> Source:
    """With the host keys of ssh that the service has seen so far."""
    seen = settings.data_dir / "mirrors" / ".known_hosts"
    (temporary / "mirrors").mkdir(mode=0o700)
    try:
        shutil.copyfile(seen, temporary / "mirrors" / ".known_hosts")
    except OSError:
        pass
    return Source(settings.model_copy(update={"data_dir": temporary}), timeout_s=_PATIENCE_S)


def _repository(source: Source, repository: Repository) -> Iterator[Finding]:
    what = f"repository {repository.name}"
    if repository.insecure:
        yield doubt(what, "anybody can tell it of pushes: its webhooks are unsigned", "give it webhook_secrets_file")
    try:
        tips = source.look(repository)
    except RepositoryEmpty as error:
        yield doubt(what, _without(error.what, repository.name), error.mend)
        return
    except SourceError as error:
        yield bad(what, _without(error.what, repository.name), error.mend, error.detail)
        return
    branches = [ref.removeprefix(HEADS) for ref in tips.refs if ref.startswith(HEADS)]
    tags = sum(ref.startswith(TAGS) for ref in tips.refs)
    followed = repository.branch or tips.default_branch
    if followed not in branches:
        yield bad(what, f"it has no branch {followed!r}", f"set its branch to one of {', '.join(branches[:10])}")
    else:
        yield good(what, f"answers; branches: {len(branches)}, tags: {tags}; {followed} counts")


def _without(said: str, name: str) -> str:
    return said.removeprefix(f"Repository {name} ")


def _handler(case: Case, name: str, settings: HandlerSettings, handler: Handler) -> Finding:
    what = f"handler {name}"
    try:
        if case.send and settings.kind != "console":
            from service.notifier import a_test_message

            handler.send(a_test_message(name))
            return good(what, f"{settings.kind}: a test message left")
        said = handler.check() if isinstance(handler, Checks) else "its options are understood"
    except (Undelivered, Rejected) as error:
        return bad(what, f"{settings.kind}: {error}", f"mend handlers.{name}")
    return good(what, f"{settings.kind}: {said}")
