"""Has MLRun build images, says how they stand, and takes away what it needed for that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service import limits
from service.domain import image_ref
from service.domain.image_build import ImageBuild
from service.mlrun_api import MlrunApi
from service.targets.mlrun.target import Check


class Outlook(StrEnum):
    GOES_ON = "goes on"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """`said` is MLRun's word for it, empty where it has no builder yet; `image` the whole name of what is ready.

    `log` is the end of what the builder printed since it was last asked, and `read` how many bytes that were.
    """

    outlook: Outlook
    said: str
    image: str = ""
    log: bytes = b""
    read: int = 0


class MlrunImages:
    """Every method raises MlrunAway (again later; where `sent`, it may have been done all the same) and MlrunRefused."""

    def __init__(self, api: MlrunApi) -> None:
        self._api = api

    def begin(self, build: ImageBuild, source: str | None, check: Check) -> Stand:
        """Ask MLRun to build it. `check` is asked just before."""
        self._api.server()  # after an outage it is asked, which takes time that the write is to have
        check()
        said = self._api.build(build.request(source))
        outlook = Outlook.READY if said.ready else Outlook.GOES_ON if said.goes_on else Outlook.FAILED
        return self._stand(build, outlook, said.state, said.image, b"", 0)

    def look(self, build: ImageBuild, offset: int = 0) -> Stand | None:
        """How it stands, with what was printed from byte `offset` on; None where MLRun knows nothing of it."""
        log, read, said = b"", 0, None
        for _ in range(limits.MLRUN_PAGES):
            said = self._api.build_state(build.project, build.name, offset + read)
            if said is None:
                return None
            log = (log + said.log)[-limits.BUILD_LOG_BYTES :]
            read += len(said.log)
            if len(said.log) < limits.MLRUN_LOG_BYTES:
                break
        assert said is not None
        outlook = Outlook.READY if said.ready else Outlook.GOES_ON if said.goes_on else Outlook.FAILED
        return self._stand(build, outlook, said.state, said.image, log, read)

    def tidy(self, build: ImageBuild, check: Check) -> None:
        """The function that it was built under is no function of the project's. It may be done again."""
        self._api.server()
        check()
        self._api.delete_function(build.project, build.name)

    def _stand(self, build: ImageBuild, outlook: Outlook, said: str, image: str, log: bytes, read: int) -> Stand:
        if outlook is Outlook.READY:
            image = self._whole(image or build.image)
        return Stand(outlook=outlook, said=said, image=image, log=log, read=read)

    def _whole(self, image: str) -> str:
        """With the registry that MLRun's server would complete; others than MLRun do not know it."""
        if not image.startswith(image_ref.OF_THE_SERVER):
            return image
        registry = self._api.registry()
        return f"{registry}/{image.removeprefix(image_ref.OF_THE_SERVER)}" if registry else image
