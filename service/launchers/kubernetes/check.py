"""Whether the cluster is there and lets the service do what it needs: for `prepare`, and for `mlrun-gitops doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.errors import ClusterRefused
from service.launchers.kubernetes.api import FORBIDDEN, Api
from service.launchers.kubernetes.rights import RIGHTS
from service.settings import Kubernetes


@dataclass(frozen=True, slots=True)
class Looked:
    """One thing that was looked at: what was found, and where it is wrong the way to mend it."""

    what: str
    said: str
    mend: str = ""


def lacking_rights(api: Api) -> list[str]:
    """`create jobs.batch` ..., each that the table has and the service has not. Raises ClusterAway, ClusterRefused."""
    return [
        f"{verb} {right.resource}" + (f".{right.group}" if right.group else "")
        for right in RIGHTS
        for verb in right.verbs
        if not api.may(right.group, right.resource, verb)
    ]


def check(settings: Kubernetes) -> Iterator[Looked]:
    """Raises ClusterAway, ClusterRefused where nothing more can be found out."""
    api = Api(settings)
    try:
        yield Looked("cluster", f"it answers, and is Kubernetes {api.version()}")
        lacking = lacking_rights(api)
        where = f"in namespace {api.namespace}"
        if lacking:
            mend = "give the service's account what the operator's guide lists; the chart's Role has it"
            yield Looked("rights", f"the service may not {', '.join(lacking)} {where}", mend)
        else:
            yield Looked("rights", f"everything that is needed {where}")
        if settings.service_account is not None:
            yield _account(api, settings.service_account)
    finally:
        api.close()


def _account(api: Api, name: str) -> Looked:
    """Looking at it is no right that the service needs; where it may not, the first pod tells."""
    try:
        found = api.get("serviceaccounts", name)
    except ClusterRefused as error:
        if error.answer != FORBIDDEN:
            raise
        return Looked("service account", f"whether {name} is there could not be looked at, for want of that right")
    if found is None:
        mend = "make it, or set launcher.kubernetes.service_account"
        return Looked("service account", f"{name} is not there in namespace {api.namespace}", mend)
    return Looked("service account", f"{name} is there")
