"""The MLRun API, where projects are saved into one: whether it answers, is one we know, and lets the service in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.cli.doctor.findings import Case, Finding, doubt, good
from service.domain.hosts import is_loopback
from service.domain.mlrun_versions import number
from service.settings import Mlrun

if TYPE_CHECKING:
    from service.mlrun_api import Server

# It need not be there: what is asked is whether one may look.
_A_PROJECT = "mlrun-gitops-doctor"


def check(case: Case) -> Iterator[Finding]:
    settings = case.settings.mlrun
    if settings.api is None:
        return
    from service.mlrun_api import MlrunApi

    case.progress("asking the MLRun API")
    api = MlrunApi(case.settings)
    try:
        yield _version(settings, api.server())
        api.project(_A_PROJECT)
        yield good("MLRun credential", f"the service is let in {_by(settings)}")
    finally:
        api.close()
    address = urlsplit(settings.api)
    if address.scheme == "http" and not is_loopback(address.hostname or "") and (settings.token or settings.access_key):
        yield doubt("MLRun API", f"{settings.api} is unencrypted, and the credential goes there", "use https://")


def _version(settings: Mlrun, server: Server) -> Finding:
    """Its minor version is that of the runner environment, or projects are resolved by another MLRun than runs them."""
    from service.mlrun_api import is_known

    answers = f"{settings.api} answers, MLRun {server.version}"
    if not is_known(server.version):
        mend = "look whether a newer mlrun-gitops knows it; it is spoken to as the newest one that is known"
        return doubt("MLRun API", f"{answers}, which this version was not tried with", mend)
    if (number(server.version) or ())[:2] != (number(settings.version) or ())[:2]:
        mend = "set mlrun.version to the server's, or to the nearest one there is"
        return doubt("MLRun API", f"{answers}; projects are loaded by MLRun {settings.version}", mend)
    return good("MLRun API", answers)


def _by(settings: Mlrun) -> str:
    return "by its token" if settings.token else "by its access key" if settings.access_key else "without a credential"
