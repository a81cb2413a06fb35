"""The one error tree: every failure says what happened, to what, and what to do about it.

GitopsError
├── SettingsError            a key of config.yaml or an environment variable is wrong
├── RequestError             an HTTP request we refuse
│   ├── Unauthorized         401
│   ├── Forbidden            403
│   ├── NotFound             404
│   ├── Conflict             409
│   ├── Gone                 410
│   ├── PayloadTooLarge      413
│   └── Malformed            400
├── StoreError
│   ├── StoreUnavailable     could not be made durable; 503, try again
│   ├── LeaseLost            somebody else has this work now; stop writing
│   └── TransitionRefused    a state that this one does not lead to
├── SourceError              git
│   ├── RepositoryUnreachable   gone, refused, hanging, wants a password
│   ├── RepositoryEmpty
│   ├── RefRejected          a ref name that no honest forge sends
│   ├── RefMissing
│   └── CheckoutFailed
├── ProjectError             what the repository says is wrong
│   ├── GitopsFileError      .gitops.yaml
│   ├── ProjectFileError     project.yaml
│   ├── NameTaken            another (repository, path, ref) owns the project's name
│   ├── CronError
│   ├── ImageError           no reference to an image
│   └── PlanError            what it declares cannot be done: an unknown workflow, a wrong schedule, no image for its Python
├── LauncherError
│   ├── RunnerEnvironmentError  no Python as MLRun needs it, or its packages did not install
│   ├── LoadFailed           project.yaml or project_setup.py did not load
│   ├── LaunchFailed
│   ├── LaunchHeld           not now: what it would run by is being written
│   ├── ClusterAway          Kubernetes does not answer now; says nothing about any job
│   └── ClusterRefused       Kubernetes said no
├── SaveHeld                 not now: a run that MLRun was just given is to read what would be written
├── MlrunError               the MLRun API
│   ├── MlrunAway            it was not reached, or could not do it now; says nothing about any run
│   └── MlrunRefused         it said no
├── DeliveryError            a notification did not leave
├── ApiError                 what a service answered a command instead of what was asked for
│   └── UnreachableError     nobody answered, or somebody who could not at this moment
├── DemoError                the demo could not do what it shows, or did not see what it says
└── Stopping                 the service is stopping; the step is done again by the next one
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus


class GitopsError(Exception):
    """Base of the tree.

    `what` says what happened and to what; `mend` says what to do. `detail` is longer text (a traceback, git's
    words). `retry` tells the reconciler whether the same step may succeed later by itself. `code` is the stable
    name used in APIs and events.
    """

    retry = False
    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, what: str, *, mend: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.detail = detail

    @property
    def code(self) -> str:
        """`RepositoryEmpty` → `repository-empty`."""
        name = type(self).__name__
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")

    def __str__(self) -> str:
        return f"{self.what}. {self.mend}".rstrip(" .") + "." if self.mend else self.what


class SettingsError(GitopsError):
    """Settings are wrong; names each key, value and mend. `problems` are the same one by one (`service.settings.Problem`)."""

    def __init__(self, what: str, *, mend: str = "", detail: str = "", problems: Sequence[object] = ()) -> None:
        super().__init__(what, mend=mend, detail=detail)
        self.problems = tuple(problems)


class RequestError(GitopsError):
    """An HTTP request that is refused."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(RequestError):
    status = HTTPStatus.UNAUTHORIZED


class Forbidden(RequestError):
    status = HTTPStatus.FORBIDDEN


class NotFound(RequestError):
    status = HTTPStatus.NOT_FOUND


class Conflict(RequestError):
    status = HTTPStatus.CONFLICT


class Gone(RequestError):
    """What is asked about is over, and nobody shall ask again."""

    status = HTTPStatus.GONE


class PayloadTooLarge(RequestError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Malformed(RequestError):
    status = HTTPStatus.BAD_REQUEST


class StoreError(GitopsError):
    """The store."""


class StoreUnavailable(StoreError):
    """A write could not be made durable (disk full, database away)."""

    retry = True
    status = HTTPStatus.SERVICE_UNAVAILABLE


class LeaseLost(StoreError):
    """The work is leased to somebody else by now."""


class TransitionRefused(StoreError):
    """Something is not in a state from which the wanted one can be reached; nothing was changed."""


class SourceError(GitopsError):
    """Git."""


class RepositoryUnreachable(SourceError):
    retry = True


class RepositoryEmpty(SourceError):
    pass


class RefRejected(SourceError):
    pass


class RefMissing(SourceError):
    pass


class CheckoutFailed(SourceError):
    retry = True


class ProjectError(GitopsError):
    """What the repository says is wrong; the last good revision stays in force."""


class GitopsFileError(ProjectError):
    pass


class ProjectFileError(ProjectError):
    pass


class NameTaken(ProjectError):
    pass


class CronError(ProjectError):
    pass


class ImageError(ProjectError):
    pass


class PlanError(ProjectError):
    pass


class LauncherError(GitopsError):
    """Starting or following a job."""


class RunnerEnvironmentError(LauncherError):
    pass


class LoadFailed(LauncherError):
    pass


class LaunchFailed(LauncherError):
    retry = True


class LaunchHeld(LauncherError):
    """Says nothing against the run, which waits."""

    retry = True
    retry_after_s = 0.0


class ClusterAway(LauncherError):
    """The API server was not reached, or could not do it now. `answer` is the HTTP status, 0 for none."""

    retry = True

    def __init__(
        self, what: str, *, mend: str = "", detail: str = "", answer: int = 0, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(what, mend=mend, detail=detail)
        self.answer = answer
        self.retry_after_s = retry_after_s


class ClusterRefused(LauncherError):
    """The API server refused it, and would again. `answer` is the HTTP status, `reason` Kubernetes' word for it."""

    def __init__(self, what: str, *, mend: str = "", detail: str = "", answer: int = 0, reason: str = "") -> None:
        super().__init__(what, mend=mend, detail=detail)
        self.answer = answer
        self.reason = reason


class SaveHeld(GitopsError):
    """Says nothing against the save, which waits for a bounded time."""

    retry = True


class MlrunError(GitopsError):
    """What the MLRun API answered instead of what was asked for. `answer` is the HTTP status, 0 for none."""

    status = HTTPStatus.BAD_GATEWAY

    def __init__(self, what: str, *, mend: str = "", detail: str = "", answer: int = 0) -> None:
        super().__init__(what, mend=mend, detail=detail)
        self.answer = answer


class MlrunAway(MlrunError):
    """The MLRun API was not reached, or could not do it now, or does not let us in at this moment.

    `sent` is False where it certainly did not act on the request. `retry_after_s` is what it asked for, else 0.
    """

    retry = True

    def __init__(
        self,
        what: str,
        *,
        mend: str = "",
        detail: str = "",
        answer: int = 0,
        retry_after_s: float = 0.0,
        sent: bool = True,
    ) -> None:
        super().__init__(what, mend=mend, detail=detail, answer=answer)
        self.retry_after_s = retry_after_s
        self.sent = sent


class MlrunRefused(MlrunError):
    """The MLRun API refused it, or answered what cannot be understood, and would again."""


class DeliveryError(GitopsError):
    """A notification did not leave."""

    status = HTTPStatus.BAD_GATEWAY


class ApiError(GitopsError):
    """What the service answered a command instead of what was asked for."""


class UnreachableError(ApiError):
    retry = True


class DemoError(GitopsError):
    """The demo could not do what it shows, or did not see what it says."""


class Stopping(GitopsError):
    """The service is stopping."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry = True
